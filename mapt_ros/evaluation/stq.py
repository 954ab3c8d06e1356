"""Segmentation and tracking quality: STQ, SQ and AQ (Weber et al., STEP, arXiv 2102.11859, as deeplab2 computes it)."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet
from mapt_ros.evaluation.overlaps import ClassTable, Overlaps, overlaps


@dataclass
class _Sequence:
    """Pixel sums of one sequence: true class x predicted class, and the sizes of tubes and of what they share."""

    confusion: np.ndarray
    truth: Counter = field(default_factory=Counter)
    predicted: Counter = field(default_factory=Counter)
    shared: Counter = field(default_factory=Counter)


@dataclass(frozen=True)
class StqMeans:
    """STQ = sqrt(AQ * SQ); AQ is None without a true track, SQ without a labelled pixel, STQ without either."""

    stq: float | None
    sq: float | None
    aq: float | None


class SegmentationTrackingQuality:
    """Sums pixels frame by frame; its memory grows with the number of ids, not of frames.

    SQ is the mean class IoU: the ground truth's void does not count, its crowd does, and void that is predicted on
    labelled pixels is one more class, with IoU 0. AQ follows the thing classes' labels over a sequence: what is
    predicted on void counts against it, what is predicted on crowd does not. An identity includes its class.
    """

    def __init__(self, classes: ClassSet) -> None:
        self.table = ClassTable(classes)
        self._sequences: dict[str, _Sequence] = {}

    def add(self, sequence: str, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Takes a frame: two HxW int32 label maps (``class_id * LABEL_DIVISOR + track_id``, -1 = unlabelled).

        Raises:
            InputError: the maps differ in size, or a class is not in the set; nothing is counted then.
        """
        self.add_overlaps(sequence, overlaps(truth, predicted))

    def add_overlaps(self, sequence: str, pairs: Overlaps) -> None:
        """Takes a frame as all its pairs, void and crowd included."""
        rows, columns = self.table.positions(pairs.truth), self.table.positions(pairs.predicted)
        size = len(self.table.is_thing) + 1
        state = self._sequences.setdefault(sequence, _Sequence(np.zeros((size, size), np.int64)))
        np.add.at(state.confusion, (rows, columns), pairs.pixels)

        crowd = self.table.crowd(pairs.truth)
        true_things = self.table.things(pairs.truth) & ~crowd
        predicted_things = self.table.things(pairs.predicted) & ~crowd
        both = true_things & predicted_things
        _add(state.truth, pairs.truth[true_things].tolist(), pairs.pixels[true_things])
        _add(state.predicted, pairs.predicted[predicted_things].tolist(), pairs.pixels[predicted_things])
        keys = list(zip(pairs.truth[both].tolist(), pairs.predicted[both].tolist(), strict=True))
        _add(state.shared, keys, pairs.pixels[both])

    def merge(self, other: "SegmentationTrackingQuality") -> None:
        """Takes over the sequences that another one saw; none of them may be here already."""
        self._sequences |= other._sequences

    @property
    def sequences(self) -> list[str]:
        return list(self._sequences)

    def class_ious(self, sequence: str | None = None) -> np.ndarray:
        """(C + 1,) float64: IoU of each class, then 0 for void predicted on labelled pixels; NaN where neither side has
        the class."""
        size = len(self.table.is_thing) + 1
        confusion = sum((s.confusion for s in self._states(sequence)), np.zeros((size, size), np.int64))
        confusion[-1] = 0
        shared = confusion.diagonal()
        union = confusion.sum(axis=0) + confusion.sum(axis=1) - shared
        return np.where(union > 0, shared / np.maximum(union, 1), np.nan)

    def track_qualities(self, sequence: str | None = None) -> list[tuple[int, float]]:
        """(true label, AQ) of every true track of one sequence, or of all."""
        qualities = []
        for state in self._states(sequence):
            sums: Counter = Counter()
            for (label, other), shared in state.shared.items():
                sums[label] += shared**2 / (state.truth[label] + state.predicted[other] - shared)
            qualities += [(label, sums[label] / size) for label, size in state.truth.items()]
        return qualities

    def class_aqs(self, sequence: str | None = None) -> list[float | None]:
        """AQ over each class's tracks, in the class set's order; None for classes without any."""
        qualities = self.track_qualities(sequence)
        own = ([q for label, q in qualities if label // LABEL_DIVISOR == c.id] for c in self.table.classes.classes)
        return [float(np.mean(values)) if values else None for values in own]

    def means(self, sequence: str | None = None) -> StqMeans:
        """Of one sequence, or of all together: sums run over all sequences, it is not a mean of theirs."""
        ious = self.class_ious(sequence)
        qualities = [quality for _, quality in self.track_qualities(sequence)]
        sq = float(np.nanmean(ious)) if not np.isnan(ious).all() else None
        aq = float(np.mean(qualities)) if qualities else None
        stq = float(np.sqrt(aq * sq)) if aq is not None and sq is not None else None
        return StqMeans(stq, sq, aq)

    def _states(self, sequence: str | None) -> list[_Sequence]:
        return list(self._sequences.values()) if sequence is None else [self._sequences[sequence]]


def _add(table: Counter, keys: list, pixels: np.ndarray) -> None:
    for key, count in zip(keys, pixels.tolist(), strict=True):
        table[key] += count
