"""One frame of several cameras on a GPU: the host waits for the device three times, however many things there are.

It waits for what was found, which decides what is drawn; for how large and how alike all is, which decides who is who;
and for the label maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mapt_ros.data.labels import ClassSet
from mapt_ros.model.graphs import FrameGraphs, Sight
from mapt_ros.model.instance import Detections
from mapt_ros.model.mapt import MAPT, FrameState
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.frame import PanopticFrame
from mapt_ros.tracking.identities import Identified, identify
from mapt_ros.tracking.memory import Observation
from mapt_ros.tracking.panoptic import fuse, upsampled
from mapt_ros.tracking.raster import (
    MOST_PIXELS,
    Canvas,
    canvas,
    cell_shares,
    download,
    histograms,
    label_map,
    measured,
    owners,
    place,
    upload,
)
from mapt_ros.tracking.state import TrackerState


@dataclass(frozen=True)
class _Scene:
    """One image after fusion, on the device but for ``told``.

    Attributes:
        told: Nx(7+E) of the N detections above the threshold, as ``Sight``.
        owner: HxW int32, N for nobody.
        masks: NxhxW, M_t of each of them.
        rows, columns: NxH and NxW, their pixels.
        overlap: TxN with the propagated masks.
    """

    told: np.ndarray
    owner: Tensor
    masks: Tensor
    rows: Tensor
    columns: Tensor
    overlap: Tensor


def step(
    model: MAPT,
    graphs: FrameGraphs,
    images: list[np.ndarray],
    states: Sequence[TrackerState],
    stamps_ns: Sequence[int | None],
    settings: TrackerConfig,
) -> list[tuple[PanopticFrame, TrackerState]] | None:
    """One image of every camera, all of one size.

    Args:
        states: as the images may use them; they stay as they are.

    Returns:
        Each camera's frame and next state; None if suppression of boxes did not settle, so that this frame has to be done
        in another way.
    """
    clock, size = model.clock, images[0].shape[:2]
    sight = graphs(images, [state.previous for state in states], settings.use_propagated_features)
    # While the device works on the network, what needs no answer of it is lined up behind.
    with clock("motion"):
        cells = sight.semantic.shape[-2:]
        propagated = [
            sight.told.new_zeros(len(state.tracks), *cells)
            if state.previous is None
            else model.motion.propagate_masks(sight.field.of(i), state.previous.masks)
            for i, state in enumerate(states)
        ]
        kept = [semantic.clone() for semantic in sight.semantic]
    with clock("fusion"):
        stride = model.semantic.logit_stride
        seen = [canvas(upsampled(x, size, sight.size, stride), model.config.classes) for x in sight.semantic_logits]
    with clock("copy out"):
        told = download([sight.told])[0]
    if not told[..., 6].all():
        return None
    with clock("fusion"):
        scenes = [_fused(model, sight, i, told[i], seen[i], carried, settings) for i, carried in enumerate(propagated)]
    with clock("copy out"):
        numbers = download([t for scene in scenes for t in (scene.rows, scene.columns, scene.overlap)])
    outcomes: list[Identified] = []
    visible: list[list[int]] = []
    with clock("association"):
        for i, (scene, state, stamp_ns) in enumerate(zip(scenes, states, stamps_ns)):
            rows, columns, overlap = numbers[3 * i : 3 * i + 3]
            observations, positions = _observed(scene.told, rows, columns, model.config.classes)
            visible.append(positions)
            outcomes.append(
                identify(state.tracks, observations, overlap[:, positions], state.next_id, stamp_ns, settings)
            )
    with clock("copy out"):
        painted = []
        for scene, canvas_, positions, outcome in zip(scenes, seen, visible, outcomes):
            labels = np.zeros(len(scene.told), dtype=np.int32)
            labels[positions] = outcome.labels
            painted.append(
                label_map(
                    scene.owner,
                    canvas_.winner,
                    upload(labels, scene.owner.device),
                    model.config.classes,
                    settings.min_stuff_area,
                )
            )
        masks = [
            _kept_masks(scene, carried, positions, outcome)
            for scene, carried, positions, outcome in zip(scenes, propagated, visible, outcomes)
        ]
        maps = [np.array(m) for m in download(painted)]  # out of pinned memory, of which there is little
    return [
        (
            PanopticFrame(labels, outcome.instances, stamp_ns, state.sequence, state.epoch),
            replace(
                state,
                sequence=state.sequence + 1,
                tracks=outcome.update.tracks,
                next_id=outcome.update.next_id,
                previous=FrameState(semantic, mask),
                size=size,
            ),
        )
        for labels, outcome, stamp_ns, state, semantic, mask in zip(maps, outcomes, stamps_ns, states, kept, masks)
    ]


def _fused(
    model: MAPT,
    sight: Sight,
    image: int,
    told: np.ndarray,
    seen: Canvas,
    propagated: Tensor,
    settings: TrackerConfig,
) -> _Scene:
    """Lines up the fusion of one image and what is measured of it."""
    size = tuple(seen.best.shape)
    detections = sight.detections_of(image, told, settings.score_threshold)
    count, classes = len(detections), model.config.classes
    told = told[:count]
    factors = np.array([side / inner for side, inner in zip(size[::-1], sight.size[::-1])] * 2, dtype=np.float32)
    corners = told[:, :4] * factors
    boxes = place(corners, *size)
    if boxes.areas.sum() > MOST_PIXELS:
        owner = _one_by_one(seen, detections, corners, classes, settings)
    else:
        things = np.array([i for i, info in enumerate(classes.classes) if info.is_thing])
        channels = things[told[:, 5].astype(np.int64) - 1]
        owner = owners(seen, boxes, channels, detections.mask_logits, settings.max_taken)
    masks = cell_shares(owner, count, sight.size, sight.semantic.shape[-2:], model.motion.stride)
    return _Scene(told, owner, masks, *histograms(owner, count), soft_iou(propagated, masks))


def _one_by_one(
    seen: Canvas, detections: Detections, corners: np.ndarray, classes: ClassSet, settings: TrackerConfig
) -> Tensor:
    """The owners of a frame whose boxes are too large to be taken all at once."""
    placed = replace(detections, boxes=upload(corners, seen.logits.device))
    fusion = fuse(seen.logits, placed, classes, settings)
    positions = np.array([*fusion.kept, len(detections)], dtype=np.int32)  # -1, nobody, is the last
    return upload(positions, seen.logits.device)[fusion.owner.long()]


def soft_iou(propagated: Tensor, masks: Tensor) -> Tensor:
    """``association.mask_overlap`` of Txhxw and Nxhxw masks on their device: TxN.

    The sum of minima is half of what the sums have beyond the sum of differences.
    """
    left, right = propagated.float().flatten(1), masks.float().flatten(1)
    if len(left) == 0 or len(right) == 0:
        return left.new_zeros(len(left), len(right))
    total = left.sum(dim=1)[:, None] + right.sum(dim=1)
    both = ((total - torch.cdist(left, right, p=1.0)) / 2).clamp(min=0)
    return both / (total - both).clamp(min=1e-6)


def _observed(
    told: np.ndarray, rows: np.ndarray, columns: np.ndarray, classes: ClassSet
) -> tuple[list[Observation], list[int]]:
    """The detections that own pixels, and their positions."""
    observations, positions = [], []
    for position, (numbers, region) in enumerate(zip(told, measured(rows, columns))):
        if region is not None:
            # A copy: the whole frame's numbers need not live as long as a track.
            thing = classes.things[int(numbers[5]) - 1]
            observations.append(Observation(thing.id, float(numbers[4]), numbers[7:].copy(), region))
            positions.append(position)
    return observations, positions


def _kept_masks(scene: _Scene, propagated: Tensor, positions: list[int], outcome: Identified) -> Tensor:
    """The next frame's M_{t-1}: one a track."""
    first = {"seen": positions, "carried": range(len(scene.masks), len(scene.masks) + len(propagated))}
    index = [first[kind][position] for kind, position in outcome.update.source]
    both = torch.cat([scene.masks, propagated.float()])
    return both.index_select(0, upload(np.array(index, dtype=np.int64), both.device))
