"""One frame of several cameras on a GPU: the host waits for the device twice, however many things there are.

It waits for what was found, who owns what and how alike all is, which decides who is who; and for the label maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mapt_ros.data.labels import ClassSet
from mapt_ros.model.capture import Captured
from mapt_ros.model.constants import constant
from mapt_ros.model.graphs import FrameGraphs, Sight
from mapt_ros.model.mapt import MAPT, FrameState
from mapt_ros.tracking.config import FUSION_SETTINGS, TrackerConfig
from mapt_ros.tracking.frame import PanopticFrame
from mapt_ros.tracking.identities import Identified, identify
from mapt_ros.tracking.memory import Observation
from mapt_ros.tracking.panoptic import fuse, upsampled, without_doubtful
from mapt_ros.tracking.scene import canvas, cell_shares, label_maps, measured, owners, regions
from mapt_ros.tracking.state import TrackerState
from mapt_ros.tracking.transfers import download, put, upload


@dataclass(frozen=True)
class Scene:
    """A batch after fusion, on the device.

    Attributes:
        owner: BxHxW int32, D for nobody.
        winner: BxHxW uint8, the stuff below, as ``Canvas`` has it.
        masks: BxDxhxw, M_t of every place for a detection.
        measures: BxDx7, as ``measured``.
        settled: B bool, whether the owners are right.
    """

    owner: Tensor
    winner: Tensor
    masks: Tensor
    measures: Tensor
    settled: Tensor


class _Desk:
    """The work after the network on frames of one size, and its memory.

    Args:
        keep: whether the sight's memory comes again, so that graphs can work on it.

    Attributes:
        maps: BxHxW int32 on the host, the label maps; the next frame overwrites them.
    """

    def __init__(self, model: MAPT, sight: Sight, size: tuple[int, int], keep: bool):
        device, (batch, count) = sight.told.device, sight.told.shape[:2]
        self._model, self._keep = model, keep
        self._settings: TrackerConfig | None = None
        self._rules = torch.zeros(len(FUSION_SETTINGS), device=device)
        self._labels = torch.zeros(batch, count, dtype=torch.int32, device=device)
        self._see = Captured(model, partial(_fused, model, sight, size, self._rules), keep)
        self._draw: Captured[Tensor] | None = None
        self.maps = torch.empty(batch, *size, dtype=torch.int32, pin_memory=device.type == "cuda")

    def see(self, settings: TrackerConfig) -> Scene:
        """Fuses what the network said."""
        if settings is not self._settings:
            put(np.array([getattr(settings, name) for name in FUSION_SETTINGS], dtype=np.float32), self._rules)
            self._settings = settings
        return self._see()

    def draw(self, scene: Scene, labels: np.ndarray) -> None:
        """Lines up the label maps of what ``see`` saw, given BxD int32 labels, and their way to the host."""
        if self._draw is None:
            self._draw = Captured(
                self._model, partial(_drawn, self._model, scene, self._labels, self._rules), self._keep
            )
        put(labels, self._labels)
        painted = self._draw()
        with self._model.clock("copy out"):
            self.maps.copy_(painted, non_blocking=True)


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
    clock, size, device = model.clock, images[0].shape[:2], model.device
    sight = graphs(images, [state.previous for state in states], settings.use_propagated_features)
    desk = sight.notes.get("desk")
    if desk is None:
        desk = _Desk(model, sight, size, graphs.capturing)
        if graphs.capturing:
            sight.notes["desk"] = desk
    scene = desk.see(settings)
    # While the device works, what needs no answer of it is lined up behind.
    with clock("motion"):
        moved = _moved(model, sight, states)
        kept = sight.semantic.clone()
    with clock("association"):
        alike = _alike(sight, scene, moved, states)
    with clock("copy out"):
        told, measures, settled, overlap, similarity = download([sight.told, scene.measures, scene.settled, *alike])
    if not told[..., 6].all():
        return None
    if not settled.all():
        with clock("fusion"):
            scene = _one_by_one(model, sight, scene, told, ~settled, settings)
        with clock("association"):
            alike = _alike(sight, scene, moved, states)
        with clock("copy out"):
            measures, overlap, similarity = download([scene.measures, *alike])
    outcomes: list[Identified] = []
    labels = np.zeros(told.shape[:2], dtype=np.int32)
    sources = []
    with clock("association"):
        for i, (state, stamp_ns) in enumerate(zip(states, stamps_ns)):
            observations, positions = _observed(told[i], measures[i], model.config.classes)
            by_masks, by_looks = (cue[i, : len(state.tracks)][:, positions] for cue in (overlap, similarity))
            outcome = identify(state.tracks, observations, by_masks, state.next_id, stamp_ns, settings, by_looks)
            labels[i, positions] = outcome.labels
            first = {"seen": i * told.shape[1] + np.array(positions, dtype=np.int64)}
            first["carried"] = np.arange(len(state.tracks)) + (told[..., 0].size + i * moved.shape[1])
            sources += [first[kind][position] for kind, position in outcome.update.source]
            outcomes.append(outcome)
    desk.draw(scene, labels)
    with clock("copy out"):
        both = torch.cat([scene.masks.flatten(0, 1), moved.flatten(0, 1)])
        masks = both.index_select(0, upload(np.array(sources, dtype=np.int64), device))
        masks = masks.split([len(outcome.update.tracks) for outcome in outcomes])
        if device.type == "cuda":
            torch.cuda.current_stream(device).synchronize()
        maps = [np.array(labels) for labels in desk.maps.numpy()]  # out of pinned memory, of which there is little
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


def _fused(model: MAPT, sight: Sight, size: tuple[int, int], rules: Tensor) -> Scene:
    """The fusion of a batch and what is measured of it; ``rules`` as the desk has them."""
    with model.clock("fusion"):
        found, classes = sight.detections, model.config.classes
        stride = model.semantic.logit_stride
        logits = without_doubtful(sight.semantic_logits, classes, rules[3], sight.size, stride)
        seen = canvas(logits, classes, size, sight.size, stride)
        factors = tuple(float(np.float32(side / inner)) for side, inner in zip(size[::-1], sight.size[::-1])) * 2
        boxes = found.boxes * constant(factors, torch.float32, rules.device)
        usable = (found.scores >= rules[0]) & (found.scores >= 0)
        owner, settled = owners(seen, boxes, found.labels, found.mask_logits, usable, rules[1])
        nothing = owner.new_zeros(0)
        scene = Scene(owner, seen.winner, nothing, nothing, settled)
        return replace(scene, **_measures(model, sight, owner))


def _measures(model: MAPT, sight: Sight, owner: Tensor) -> dict[str, Tensor]:
    count, cells = sight.told.shape[1], sight.semantic.shape[-2:]
    masks = cell_shares(owner, count, sight.size, cells, model.motion.stride)
    return {"masks": masks, "measures": measured(owner, count)}


def _drawn(model: MAPT, scene: Scene, labels: Tensor, rules: Tensor) -> Tensor:
    with model.clock("copy out"):
        return label_maps(scene.owner, scene.winner, labels, model.config.classes, rules[2])


def _one_by_one(
    model: MAPT, sight: Sight, scene: Scene, told: np.ndarray, wrong: np.ndarray, settings: TrackerConfig
) -> Scene:
    """Draws the images again that did not fit or did not settle, one detection after the other.

    The owners are written over, for a graph may draw the label maps from there.
    """
    size, count = tuple(scene.owner.shape[1:]), sight.told.shape[1]
    factors = np.array([side / inner for side, inner in zip(size[::-1], sight.size[::-1])] * 2, dtype=np.float32)
    for image in np.flatnonzero(wrong):
        detections = sight.detections_of(image, told[image], settings.score_threshold)
        corners = told[image, : len(detections), :4] * factors
        placed = replace(detections, boxes=upload(corners, scene.owner.device))
        stride, logits = model.semantic.logit_stride, sight.semantic_logits[image : image + 1]
        logits = without_doubtful(logits, model.config.classes, settings.min_stuff_iou, sight.size, stride)
        logits = upsampled(logits[0], size, sight.size, stride)
        fusion = fuse(logits, placed, model.config.classes, settings)
        positions = np.array([*fusion.kept, count], dtype=np.int32)  # -1, nobody, is the last
        scene.owner[image].copy_(upload(positions, scene.owner.device)[fusion.owner.long()])
    return replace(scene, **_measures(model, sight, scene.owner))


def _moved(model: MAPT, sight: Sight, states: Sequence[TrackerState]) -> Tensor:
    """The tracks' masks where motion carries them, BxTxhxw; T is of the camera with most, the others' rest is zero."""
    cells = sight.semantic.shape[-2:]
    before = [
        sight.told.new_zeros(len(state.tracks), *cells) if state.previous is None else state.previous.masks.float()
        for state in states
    ]
    if not any(len(masks) for masks in before):
        return sight.told.new_zeros(len(states), 0, *cells)
    return model.motion.carried(sight.taps, before[0][None] if len(before) == 1 else pad_sequence(before, True))


def _alike(sight: Sight, scene: Scene, moved: Tensor, states: Sequence[TrackerState]) -> tuple[Tensor, Tensor]:
    """How alike tracks and places for detections are, by their masks and by their embeddings: both BxTxD."""
    embeddings = np.zeros((*moved.shape[:2], sight.told.shape[2] - 7), dtype=np.float32)
    for row, state in zip(embeddings, states):
        for place, track in zip(row, state.tracks):
            place[:] = track.embedding
    similarity = upload(embeddings, sight.told.device) @ sight.told[..., 7:].transpose(1, 2)
    return soft_iou(moved, scene.masks), similarity


def soft_iou(propagated: Tensor, masks: Tensor) -> Tensor:
    """``association.mask_overlap`` of ...xTxhxw and ...xNxhxw masks on their device: ...xTxN.

    The sum of minima is half of what the sums have beyond the sum of differences.
    """
    left, right = propagated.float().flatten(-2), masks.float().flatten(-2)
    if left.shape[-2] == 0 or right.shape[-2] == 0:
        return left.new_zeros(*left.shape[:-1], right.shape[-2])
    total = left.sum(dim=-1)[..., None] + right.sum(dim=-1)[..., None, :]
    both = ((total - torch.cdist(left, right, p=1.0)) / 2).clamp(min=0)
    return both / (total - both).clamp(min=1e-6)


def _observed(told: np.ndarray, measures: np.ndarray, classes: ClassSet) -> tuple[list[Observation], list[int]]:
    """The detections that own pixels, and their positions."""
    positions = np.flatnonzero(measures[:, 0]).tolist()
    numbers = told[positions, 4:6].tolist()
    observations = [
        # A copy: the whole frame's numbers need not live as long as a track.
        Observation(classes.things[int(label) - 1].id, score, told[position, 7:].copy(), region)
        for (score, label), position, region in zip(numbers, positions, regions(measures[positions]))
    ]
    return observations, positions
