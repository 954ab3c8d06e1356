"""Panoptic fusion: semantic logits and instance detections become one map in which no pixel belongs to two segments."""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mapt_ros.data.labels import LABEL_DIVISOR, UNLABELLED, VOID_CLASS, ClassSet
from mapt_ros.model.constants import constant
from mapt_ros.model.instance import Detections
from mapt_ros.tracking.config import TrackerConfig

_NEVER = -1e4  # a logit that loses against all others and still fits into half precision
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
    best, winner = strongest(semantic_logits, stuff_channels)
    owner = torch.full((height, width), NOBODY, dtype=torch.int16, device=best.device)
    taken = torch.zeros(height, width, dtype=torch.bool, device=best.device)

    # One copy to the host for all; from then on the host only says what comes next, and waits for no outcome.
    told = torch.cat([detections.boxes, detections.scores[:, None], detections.labels[:, None]], dim=1)
    told = told.float().cpu().numpy()
    entered = np.flatnonzero(told[:, 4] >= config.score_threshold).tolist()
    for position, index in enumerate(entered):
        area, mask_logits = paste(detections.mask_logits[index].float(), told[index, :4].tolist(), height, width)
        if mask_logits.numel() == 0:
            continue
        mask = mask_logits > 0
        pixels = mask.sum()
        mask &= (pixels > 0) & ((mask & taken[area]).sum() <= config.max_taken * pixels)
        enters = mask.any()
        taken[area] |= mask
        class_logits = semantic_logits[thing_channels[int(told[index, 5]) - 1]][area]
        fused = (mask_logits.sigmoid() + class_logits.sigmoid()) * (mask_logits + class_logits)
        wins = (fused > best[area]) & enters
        best[area] = torch.where(wins, fused, best[area])
        owner[area].masked_fill_(wins, position)

    owner, kept = _close_ranks(owner, entered)
    winner.masked_fill_(owner != NOBODY, len(stuff_channels))
    areas = torch.bincount(winner.flatten(), minlength=len(stuff_channels) + 1)
    ids = torch.tensor([*(classes.classes[i].id for i in stuff_channels), VOID_CLASS], dtype=torch.uint8)
    ids = torch.where(areas < config.min_stuff_area, VOID_CLASS, ids.to(best.device))
    return Fusion(owner, ids[winner.int()], kept)


def without_doubtful(
    logits: Tensor, classes: ClassSet, least: float | Tensor, inner: tuple[int, int], stride: int
) -> Tensor:
    """The logits without stuff classes that would hardly overlap with the truth: in their place the next best compete.

    What IoU to expect of a class in an image, the network's own probabilities tell: those of the pixels where it wins,
    over these pixels' number and its probabilities elsewhere (the soft Jaccard index of its answer with itself).

    Args:
        logits: BxKxhxw, at any stride.
        least: IoU that a class must expect to compete; the surest stuff class of an image always does.
        inner: height and width of the image inside the network's input.
        stride: of the logits, in pixels of the input.
    """
    rows, columns = (ceil(side / stride) for side in inner)
    probabilities = logits[..., :rows, :columns].float().softmax(dim=1).flatten(2)  # BxKxP
    sureness, winner = probabilities.max(dim=1)
    none = probabilities.new_zeros(probabilities.shape[:2])
    shared = none.scatter_add(1, winner, sureness)
    said = none.scatter_add(1, winner, torch.ones_like(sureness))
    expected = shared / (said + probabilities.sum(dim=2) - shared).clamp(min=1e-6)
    stuff = constant(tuple(not info.is_thing for info in classes.classes), torch.bool, logits.device)
    surest = expected.masked_fill(~stuff, 0.0).amax(dim=1, keepdim=True)
    doubtful = stuff & (expected < least) & (expected < surest)
    return logits.masked_fill(doubtful[..., None, None], _NEVER)


def upsampled(logits: Tensor, size: tuple[int, int], inner: tuple[int, int], stride: int) -> Tensor:
    """Kxhxw logits of a network's input at the size of the image it was made from: KxHxW in single precision.

    Args:
        size: height and width of the image.
        inner: of the image inside the network's input.
        stride: of the logits, in pixels of the network's input.
    """
    scales = [stride * side / within for side, within in zip(size, inner)]
    # The operator behind ``interpolate``, which takes a size or scales, but not both: the cells end beyond the image.
    # Class by class in memory, for fusion goes through them so.
    return torch.ops.aten.upsample_bilinear2d(logits[None].float().contiguous(), size, False, *scales)[0]


def strongest(logits: Tensor, channels: list[int]) -> tuple[Tensor, Tensor]:
    """The largest of some channels of KxHxW logits at every pixel, HxW, and its position in ``channels``, uint8.

    As ``max`` along the first dimension, which on a CPU takes several times as long.
    """
    best = logits[channels[0]].clone()
    winner = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    for position, channel in enumerate(channels[1:], start=1):
        winner.masked_fill_(logits[channel] > best, position)
        torch.maximum(best, logits[channel], out=best)
    return best, winner


def paste(
    mask_logits: Tensor, box: tuple[float, float, float, float], height: int, width: int
) -> tuple[tuple[slice, slice], Tensor]:
    """Resamples a box's MxM mask logits bilinearly to the pixels that the box touches.

    Args:
        mask_logits: MxM.
        box: x0, y0, x1, y1 in pixels of an image of the given size.

    Returns:
        The rows and columns, and the logits there (may be empty).
    """
    x0, y0, x1, y1 = box
    rows = slice(max(0, floor(y0)), min(height, ceil(y1)))
    columns = slice(max(0, floor(x0)), min(width, ceil(x1)))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return (slice(0, 0), slice(0, 0)), mask_logits.new_zeros(0, 0)
    down = _interpolation(rows, y0, y1, mask_logits)
    across = _interpolation(columns, x0, x1, mask_logits)
    return (rows, columns), down @ mask_logits @ across.T


def _interpolation(pixels: slice, low: float, high: float, mask_logits: Tensor) -> Tensor:
    """What each of the M cells between two edges weighs at each pixel, PxM; beyond the outer cells' centres they hold."""
    cells = torch.arange(len(mask_logits), device=mask_logits.device)
    places = torch.arange(pixels.start, pixels.stop, device=mask_logits.device) + (0.5 - low)
    places = (places * (len(cells) / max(high - low, 1e-3)) - 0.5).clamp(0, len(cells) - 1)
    return (1 - (places[:, None] - cells).abs()).clamp(min=0).to(mask_logits.dtype)


def _close_ranks(owner: Tensor, entered: list[int]) -> tuple[Tensor, list[int]]:
    """Drops instances that lost all their pixels and renumbers the rest in order."""
    counts = torch.bincount((owner + 1).flatten(), minlength=len(entered) + 1)[1:].tolist()
    kept = [i for i, count in enumerate(counts) if count > 0]
    if len(kept) < len(entered):
        renumber = np.full(len(entered) + 1, NOBODY, dtype=np.int16)
        renumber[[i + 1 for i in kept]] = np.arange(len(kept))
        owner = torch.from_numpy(renumber).to(owner.device)[owner.int() + 1]
    return owner, [entered[i] for i in kept]


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
    of_stuff = np.arange(256, dtype=np.int32) * LABEL_DIVISOR
    of_stuff[VOID_CLASS] = UNLABELLED
    painted = of_stuff[stuff]
    things = owner != NOBODY
    painted[things] = np.array([*labels, UNLABELLED], dtype=np.int32)[owner[things]]
    return painted
