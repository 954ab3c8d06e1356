"""Panoptic fusion: semantic logits and instance detections become one map in which no pixel belongs to two segments."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from mapt_ros.data.labels import LABEL_DIVISOR, UNLABELLED, VOID_CLASS, ClassSet
from mapt_ros.model.instance import Detections
from mapt_ros.tracking.config import TrackerConfig

NOBODY = -1  # in an owner map: the pixel belongs to no instance


@dataclass(frozen=True)
class Fusion:
    """Who owns each pixel.

    Attributes:
        owner: HxW int16 on the network's device: position in ``kept`` of the instance, -1 for stuff and unlabelled.
        stuff: HxW uint8 class id of the stuff under every pixel, 255 where there is none.
        kept: indices of the detections that own at least one pixel, best first.
    """

    owner: Tensor
    stuff: Tensor
    kept: list[int]


@dataclass(frozen=True)
class Region:
    """The pixels of one instance: box (x0, y0, x1, y1, far edge exclusive), count, and centroid in pixels."""

    box: tuple[int, int, int, int]
    area: int
    x: float
    y: float


def fuse(semantic_logits: Tensor, detections: Detections, classes: ClassSet, config: TrackerConfig) -> Fusion:
    """EfficientPS's fusion (section 3.5).

    Detections above the score threshold are taken best first; one of which more than ``max_taken`` is already taken is
    skipped. Inside its box an instance competes with (sigmoid(A) + sigmoid(B)) * (A + B), where A are its mask logits
    and B the semantic logits of its class, against every stuff class's logits; outside its box it does not compete.

    Args:
        semantic_logits: KxHxW at the size of the image.
        detections: boxes in pixels of the image.
    """
    height, width = semantic_logits.shape[-2:]
    stuff_channels = [i for i, info in enumerate(classes.classes) if not info.is_thing]
    thing_channels = [i for i, info in enumerate(classes.classes) if info.is_thing]
    best, winner = semantic_logits[stuff_channels].max(dim=0)
    owner = torch.full((height, width), NOBODY, dtype=torch.int16, device=best.device)
    taken = torch.zeros(height, width, dtype=torch.bool, device=best.device)

    entered: list[int] = []
    confident = detections.scores >= config.score_threshold
    for index in torch.nonzero(confident)[:, 0].tolist():
        area, mask_logits = paste(detections.mask_logits[index], detections.boxes[index], height, width)
        mask = mask_logits > 0
        pixels = int(mask.sum())
        if pixels == 0 or int((mask & taken[area]).sum()) > config.max_taken * pixels:
            continue
        taken[area] |= mask
        class_logits = semantic_logits[thing_channels[int(detections.labels[index]) - 1]][area]
        fused = (mask_logits.sigmoid() + class_logits.sigmoid()) * (mask_logits + class_logits)
        wins = fused > best[area]
        best[area] = torch.where(wins, fused, best[area])
        owner[area] = torch.where(wins, len(entered), owner[area])
        entered.append(index)

    owner, kept = _close_ranks(owner, entered)
    stuff_ids = torch.tensor([classes.classes[i].id for i in stuff_channels], dtype=torch.uint8, device=best.device)
    stuff = stuff_ids[winner]
    stuff[owner != NOBODY] = VOID_CLASS
    areas = torch.bincount(stuff.flatten().long(), minlength=256)
    return Fusion(owner, torch.where(areas[stuff.long()] < config.min_stuff_area, VOID_CLASS, stuff), kept)


def paste(mask_logits: Tensor, box: Tensor, height: int, width: int) -> tuple[tuple[slice, slice], Tensor]:
    """Resamples a box's MxM mask logits to the pixels that the box touches.

    Args:
        mask_logits: MxM.
        box: x0, y0, x1, y1 in pixels of an image of the given size.

    Returns:
        The rows and columns, and the logits there (may be empty).
    """
    x0, y0, x1, y1 = box.tolist()
    rows = slice(max(0, int(np.floor(y0))), min(height, int(np.ceil(y1))))
    columns = slice(max(0, int(np.floor(x0))), min(width, int(np.ceil(x1))))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return (slice(0, 0), slice(0, 0)), mask_logits.new_zeros(0, 0)
    u = (torch.arange(columns.start, columns.stop, device=box.device) + 0.5 - x0) / max(x1 - x0, 1e-3) * 2 - 1
    v = (torch.arange(rows.start, rows.stop, device=box.device) + 0.5 - y0) / max(y1 - y0, 1e-3) * 2 - 1
    grid = torch.stack(torch.meshgrid(u, v, indexing="xy"), dim=-1).to(mask_logits.dtype)
    sampled = F.grid_sample(mask_logits[None, None], grid[None], padding_mode="border", align_corners=False)
    return (rows, columns), sampled[0, 0]


def _close_ranks(owner: Tensor, entered: list[int]) -> tuple[Tensor, list[int]]:
    """Drops instances that lost all their pixels and renumbers the rest in order."""
    counts = torch.bincount(owner.flatten().long() + 1, minlength=len(entered) + 1)[1:].tolist()
    positions = [i for i, count in enumerate(counts) if count > 0]
    renumber = torch.full((len(entered) + 1,), NOBODY, dtype=torch.int16, device=owner.device)
    for new, old in enumerate(positions):
        renumber[old + 1] = new
    return renumber[owner.long() + 1], [entered[i] for i in positions]


def regions(owner: np.ndarray, count: int) -> list[Region]:
    """Box, area and centroid of each of ``count`` instances of an HxW owner map; every one has a pixel."""
    found = []
    for index, area in enumerate(ndimage.find_objects(owner.astype(np.int32) + 1, max_label=count)):
        rows, columns = np.nonzero(owner[area] == index)
        top, left = area[0].start, area[1].start
        found.append(
            Region(
                (left, top, area[1].stop, area[0].stop),
                len(rows),
                float(columns.mean()) + left + 0.5,
                float(rows.mean()) + top + 0.5,
            )
        )
    return found


def paint(owner: np.ndarray, stuff: np.ndarray, labels: list[int]) -> np.ndarray:
    """The HxW int32 label map of a fusion, given the label of each of its instances in order."""
    stuff_labels = np.where(stuff == VOID_CLASS, UNLABELLED, stuff.astype(np.int32) * LABEL_DIVISOR)
    lookup = np.array([*labels, 0], dtype=np.int32)  # index -1, nobody, reads the last entry, which is not used
    return np.where(owner == NOBODY, stuff_labels, lookup[owner]).astype(np.int32)
