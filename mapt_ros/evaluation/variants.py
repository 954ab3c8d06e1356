"""Scores variants of the tracker side by side: the same frames and detections, one pass of the dense network a frame."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from mapt_ros.data.frames import Dataset, Sequence
from mapt_ros.data.targets import instance_targets
from mapt_ros.errors import InputError, validated
from mapt_ros.evaluation.evaluate import Evaluator
from mapt_ros.evaluation.propagation import PropagationQuality, shuffled
from mapt_ros.model.instance import Detections
from mapt_ros.model.mapt import MAPT, Perception, Prediction
from mapt_ros.model.motion import MotionField
from mapt_ros.tracking.config import FUSION_SETTINGS, AssociationMode, TrackerConfig
from mapt_ros.tracking.panoptic import Fusion
from mapt_ros.tracking.tracker import PanopticTracker, TrackerState


@dataclass(frozen=True)
class Variant:
    """One way to give the detections identities.

    Attributes:
        name: in the results.
        association: which cues decide.
        masks: what the tracks' masks become in the next frame: ``propagated`` by the motion head; propagated with the
            motion field's cells ``shuffled``; or ``copied``, left where they are, which makes of ``motion`` a plain
            IoU tracker.
        settings: further settings of the tracker that differ from its own.
        every: sees every n-th frame only. It goes through the sequence n times, from its first n frames on, so that
            every n looks at the same frames.
    """

    name: str
    association: AssociationMode
    masks: Literal["propagated", "shuffled", "copied"] = "propagated"
    settings: dict[str, Any] = field(default_factory=dict)
    every: int = 1

    def sequences(self, name: str) -> list[str]:
        """What its passes through a sequence of that name are called."""
        return [name] if self.every == 1 else [f"{name} from {phase}" for phase in range(self.every)]


STANDARD = (
    Variant("combined", "combined"),
    Variant("motion", "motion"),
    Variant("appearance", "appearance"),
    Variant("motion, shuffled offsets", "motion", "shuffled"),
    Variant("plain IoU tracker", "motion", "copied"),
)


@dataclass
class Comparison:
    """What ``compare`` found: the evaluator of each variant, and how well true masks are propagated."""

    evaluators: dict[str, Evaluator]
    propagation: PropagationQuality = field(default_factory=PropagationQuality)

    def merge(self, other: "Comparison") -> None:
        """Takes over the sequences that another one has seen."""
        for name, evaluator in self.evaluators.items():
            evaluator.merge(other.evaluators[name])
        self.propagation.merge(other.propagation)


def compare(
    tracker: PanopticTracker, dataset: Dataset, variants: tuple[Variant, ...] = STANDARD, rate_hz: float = 10.0
) -> Comparison:
    """Tracks every sequence of a dataset with all variants and scores them (minimum area 0).

    Args:
        tracker: its settings hold but for the association.
        dataset: in the tracker's classes.
        rate_hz: frames a second, for the stamps.

    Raises:
        InputError: the dataset has other classes, or a file cannot be read.
    """
    check_classes(tracker, dataset)
    result = Comparison({variant.name: Evaluator(tracker.classes) for variant in variants})
    for sequence in dataset.sequences:
        for tracked in track_variants(tracker, sequence, variants, rate_hz, {1: result.propagation}):
            for variant, name, labels in tracked.labels:
                result.evaluators[variant].add(name, tracked.truth, labels)
    return result


def check_classes(tracker: PanopticTracker, dataset: Dataset) -> None:
    """Complains of a dataset that has other classes than the tracker.

    Raises:
        InputError: it has.
    """
    if dataset.classes != tracker.classes:
        raise InputError(
            f"{dataset.folder}: has the classes of {dataset.classes.name}, the weights those of {tracker.classes.name}"
        )


@dataclass(frozen=True)
class TrackedFrame:
    """What all variants make of one frame.

    Attributes:
        index: position in the sequence.
        truth: HxW int32 label map.
        labels: (variant, its pass through the sequence, HxW int32 label map).
    """

    index: int
    truth: np.ndarray
    labels: list[tuple[str, str, np.ndarray]]


@dataclass
class _Pass:
    """One variant on its way through a sequence."""

    variant: Variant
    phase: int
    sequence: str
    settings: TrackerConfig
    state: TrackerState
    generator: torch.Generator


@dataclass(frozen=True)
class _Link:
    """How a frame hangs together with the one before that a pass has seen."""

    motion: MotionField | None
    features: Tensor | None


@torch.inference_mode()
def track_variants(
    tracker: PanopticTracker,
    sequence: Sequence,
    variants: tuple[Variant, ...],
    rate_hz: float = 10.0,
    propagation: dict[int, PropagationQuality] | None = None,
) -> Iterator[TrackedFrame]:
    """Runs the network once a frame, and for every variant what comes after it.

    Args:
        tracker: its settings hold but for what the variants change.
        sequence: in the tracker's classes.
        variants: their names differ.
        rate_hz: frames a second, for the stamps.
        propagation: for some n, where to put how well true masks are propagated from each frame to the n-th after it;
            a variant must see every n-th frame.

    Raises:
        InputError: a file cannot be read, or a variant's setting is none.
    """
    model, propagation = tracker.model, propagation or {}
    passes = _passes(tracker, sequence.name, variants)
    least_score = min((p.settings.score_threshold for p in passes), default=0.0)
    before: dict[tuple[int, int], tuple[Tensor, np.ndarray]] = {}  # (n, phase) -> S of the last frame, true labels
    for i in range(len(sequence)):
        image, truth = sequence.frame(i)
        seen = model.perceive(model.prepare([torch.from_numpy(image)]), least_score)
        active = [p for p in passes if i % p.variant.every == p.phase]
        links: dict[int, _Link] = {}
        for every in dict.fromkeys(p.variant.every for p in active):
            old = before.get((every, i % every))
            if old is not None and old[0].shape != seen.semantic.shape:
                old = None  # of an image of another size
            links[every] = _link(model, old, seen)
            if old is not None and every in propagation:
                _measure(tracker, propagation[every], links[every].motion, old[1], truth, seen)
            before[every, i % every] = seen.semantic, truth
        detections: dict[tuple[int, bool], Detections] = {}
        fusions: dict[tuple, Fusion] = {}
        labels = []
        for p in active:
            link, use = links[p.variant.every], p.settings.use_propagated_features
            if (p.variant.every, use) not in detections:
                known = link.motion is not None
                detections[p.variant.every, use] = model.embed(seen, link.features, [known], use)[0]
            prediction = Prediction(
                seen.semantic_logits[0], seen.semantic[0], detections[p.variant.every, use], None, seen.sizes[0]
            )
            prediction = replace(prediction, propagated_masks=_carried(p, link.motion, model))
            fused_by = tuple(getattr(p.settings, name) for name in FUSION_SETTINGS)
            if fused_by not in fusions:
                fusions[fused_by] = tracker.fuse(prediction, truth.shape, p.settings)
            frame, p.state = tracker.track(
                prediction, truth.shape, p.state, round(i * 1e9 / rate_hz), p.settings, fusions[fused_by]
            )
            labels.append((p.variant.name, p.sequence, frame.labels))
        yield TrackedFrame(i, truth, labels)


def variant_settings(tracker: PanopticTracker, variant: Variant) -> TrackerConfig:
    """All settings that a variant runs with.

    Raises:
        InputError: one that it changes does not exist, or cannot have the value.
    """
    changed = variant.settings | {"association": variant.association}
    return validated(TrackerConfig, tracker.settings.model_dump() | changed, f"variant {variant.name!r}")


def _passes(tracker: PanopticTracker, sequence: str, variants: tuple[Variant, ...]) -> list[_Pass]:
    return [
        _Pass(
            variant,
            phase,
            name,
            variant_settings(tracker, variant),
            tracker.new_state(),
            torch.Generator().manual_seed(0),
        )
        for variant in variants
        for phase, name in enumerate(variant.sequences(sequence))
    ]


def _link(model: MAPT, old: tuple[Tensor, np.ndarray] | None, seen: Perception) -> _Link:
    if old is None:
        return _Link(None, None)
    motion = model.motion.field(old[0], seen.semantic)
    return _Link(motion, model.motion.propagate_features(motion, old[0]))


def _measure(
    tracker: PanopticTracker,
    quality: PropagationQuality,
    motion: MotionField,
    before: np.ndarray,
    truth: np.ndarray,
    seen: Perception,
) -> None:
    """Propagates true masks, at the size at which the network sees the image."""
    height, width = seen.sizes[0]
    stride = tracker.model.motion.stride
    padded = tuple(stride * cells for cells in seen.semantic.shape[-2:])
    if truth.shape != (height, width):
        before, truth = (cv2.resize(t, (width, height), interpolation=cv2.INTER_NEAREST) for t in (before, truth))
    things = (instance_targets(t, tracker.classes).to(tracker.device) for t in (before, truth))
    quality.add(tracker.model.motion, motion, *things, size=padded)


def _carried(p: _Pass, motion: MotionField | None, model: MAPT) -> Tensor | None:
    """The masks of a pass's tracks as its variant carries them."""
    if motion is None or p.state.previous is None:
        return None
    masks = p.state.previous.masks
    if p.variant.masks == "copied":
        return masks
    return model.motion.propagate_masks(
        motion if p.variant.masks == "propagated" else shuffled(motion, p.generator), masks
    )
