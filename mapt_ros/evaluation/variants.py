"""Scores variants of the tracker side by side: the same frames and detections, one pass of the dense network a frame."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mapt_ros.data.frames import Dataset, Sequence
from mapt_ros.data.targets import instance_targets
from mapt_ros.errors import InputError
from mapt_ros.evaluation.evaluate import Evaluator
from mapt_ros.evaluation.propagation import PropagationQuality, shuffled
from mapt_ros.model.mapt import FrameState, Prediction
from mapt_ros.model.motion import MotionField
from mapt_ros.tracking.config import AssociationMode
from mapt_ros.tracking.frame import PanopticFrame
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
    """

    name: str
    association: AssociationMode
    masks: Literal["propagated", "shuffled", "copied"] = "propagated"


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
    if dataset.classes != tracker.classes:
        raise InputError(
            f"{dataset.folder}: has the classes of {dataset.classes.name}, the weights those of {tracker.classes.name}"
        )
    result = Comparison({variant.name: Evaluator(tracker.classes) for variant in variants})
    for sequence in dataset.sequences:
        for truth, frames in _tracked(tracker, sequence, variants, rate_hz, result.propagation):
            for variant, frame in zip(variants, frames):
                result.evaluators[variant.name].add(sequence.name, truth, frame.labels)
    return result


@torch.inference_mode()
def _tracked(
    tracker: PanopticTracker,
    sequence: Sequence,
    variants: tuple[Variant, ...],
    rate_hz: float,
    propagation: PropagationQuality,
) -> Iterator[tuple[np.ndarray, list[PanopticFrame]]]:
    """The true label map and every variant's frame, frame after frame."""
    model = tracker.model
    settings = [tracker.settings.model_copy(update={"association": variant.association}) for variant in variants]
    states = [tracker.new_state() for _ in variants]
    generator = torch.Generator().manual_seed(0)
    previous: tuple[Tensor, np.ndarray] | None = None  # S_{t-1}, true labels
    for i in range(len(sequence)):
        image, truth = sequence.frame(i)
        batch = model.prepare([torch.from_numpy(image)])
        # The network needs only S_{t-1} for its embeddings; each variant's masks are propagated below.
        before = None if previous is None else FrameState(previous[0], previous[0].new_zeros(0, *previous[0].shape[1:]))
        prediction = model(batch, [before], tracker.settings.use_propagated_features)[0]
        motion = None
        if previous is not None:
            motion = model.motion.field(previous[0][None], prediction.semantic[None])
            if prediction.size == truth.shape:
                things = (instance_targets(t, tracker.classes).to(tracker.device) for t in (previous[1], truth))
                propagation.add(model.motion, motion, *things, size=tuple(batch.images.shape[-2:]))
        outcomes = [
            tracker.track(_carried(prediction, variant, state, motion, model, generator), truth.shape, state, stamp, s)
            for stamp in (round(i * 1e9 / rate_hz),)
            for variant, state, s in zip(variants, states, settings)
        ]
        states = [after for _, after in outcomes]
        previous = prediction.semantic, truth
        yield truth, [frame for frame, _ in outcomes]


def _carried(
    prediction: Prediction,
    variant: Variant,
    state: TrackerState,
    motion: MotionField | None,
    model: torch.nn.Module,
    generator: torch.Generator,
) -> Prediction:
    """The prediction with the masks of one variant's tracks carried as the variant wants it."""
    if motion is None or state.previous is None:
        return replace(prediction, propagated_masks=None)
    masks = state.previous.masks
    if variant.masks != "copied":
        field_ = motion if variant.masks == "propagated" else shuffled(motion, generator)
        masks = model.motion.propagate_masks(field_, masks)
    return replace(prediction, propagated_masks=masks)
