"""Panoptic quality: PQ, SQ and RQ, per class and on average (Kirillov et al., Panoptic Segmentation, CVPR 2019)."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.data.labels import ClassSet
from mapt_ros.evaluation.overlaps import ClassTable, Overlaps, areas, merged, overlaps


@dataclass
class SegmentCounts:
    """Segments of one sequence, each field an array with one entry a class, in the class set's order.

    Attributes:
        tp, fp, fn: (C,) int64, matched, surplus and missed segments.
        iou: (C,) float64, sum of the matched segments' IoU.
    """

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    iou: np.ndarray

    @classmethod
    def none(cls, classes: int) -> "SegmentCounts":
        return cls(*(np.zeros(classes, np.int64) for _ in range(3)), np.zeros(classes))

    def __add__(self, other: "SegmentCounts") -> "SegmentCounts":
        return SegmentCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.iou + other.iou)

    @property
    def weight(self) -> np.ndarray:
        """(C,) float64: TP + FP / 2 + FN / 2, the denominator of PQ."""
        return self.tp + 0.5 * self.fp + 0.5 * self.fn


@dataclass(frozen=True)
class Matches:
    """One frame's matched segments: true labels and predicted labels (M,) int64, IoU (M,) float64."""

    truth: np.ndarray
    predicted: np.ndarray
    iou: np.ndarray


@dataclass(frozen=True)
class QualityMeans:
    """PQ, SQ (mean IoU of the matched) and RQ (F1 of the matching), averaged over classes; None without any class."""

    pq: float | None
    sq: float | None
    rq: float | None


class PanopticQuality:
    """Counts matched segments frame by frame; per sequence it keeps four numbers a class.

    A segment is a thing with its id, or all of a stuff class. Pixels that are void or crowd (a thing class with id 0)
    in the ground truth are taken out of both sides. A pair matches if its class is the same and its IoU > 0.5.
    """

    def __init__(self, classes: ClassSet, *, min_area: int = 0, devkit_exact: bool = False) -> None:
        """
        Args:
            classes: what the labels' class ids mean.
            min_area: pixels that an unmatched segment needs to count as missed or surplus.
            devkit_exact: average over all classes, one that is absent counting 0, and let stuff keep its ids, as the
                nuScenes devkit does; otherwise average over the classes that have a segment on either side.
        """
        self.table = ClassTable(classes)
        self.min_area = min_area
        self.devkit_exact = devkit_exact
        self._counts: dict[str, SegmentCounts] = {}

    def add(self, sequence: str, truth: np.ndarray, predicted: np.ndarray) -> Matches:
        """Takes a frame: two HxW int32 label maps (``class_id * LABEL_DIVISOR + track_id``, -1 = unlabelled).

        Raises:
            InputError: the maps differ in size, or a class is not in the set; nothing is counted then.
        """
        return self.add_overlaps(sequence, self.evaluated(overlaps(truth, predicted)))

    def evaluated(self, pairs: Overlaps) -> Overlaps:
        """The pairs that count: without the ground truth's void and crowd, and with stuff as one segment a class."""
        if not self.devkit_exact:
            merge = self.table.merge_stuff
            pairs = merged(Overlaps(merge(pairs.truth), merge(pairs.predicted), pairs.pixels))
        self.table.positions(pairs.predicted)  # complains of unknown classes also where the truth is void
        return pairs.where((pairs.truth >= 0) & ~self.table.crowd(pairs.truth))

    def add_overlaps(self, sequence: str, pairs: Overlaps) -> Matches:
        """Takes a frame as what ``evaluated`` returned."""
        ious, position = pairs.ious(), self.table.positions
        same = position(pairs.truth) == position(pairs.predicted)
        rows = same & (ious > 0.5)
        matches = Matches(pairs.truth[rows], pairs.predicted[rows], ious[rows])

        size = len(self.table.is_thing)
        matched = position(matches.truth)
        self._counts[sequence] = self.counts(sequence) + SegmentCounts(
            tp=np.bincount(matched, minlength=size),
            fp=np.bincount(position(self._unmatched(pairs.predicted, pairs.pixels, matches.predicted)), minlength=size),
            fn=np.bincount(position(self._unmatched(pairs.truth, pairs.pixels, matches.truth)), minlength=size),
            iou=np.bincount(matched, weights=matches.iou, minlength=size),
        )
        return matches

    def merge(self, other: "PanopticQuality") -> None:
        """Takes over the sequences that another one of the same settings saw; none of them may be here already."""
        self._counts |= other._counts

    def counts(self, sequence: str | None = None) -> SegmentCounts:
        """Of one sequence, or of all together."""
        none = SegmentCounts.none(len(self.table.is_thing))
        if sequence is not None:
            return self._counts.get(sequence, none)
        return sum(self._counts.values(), none)

    def means(self, sequence: str | None = None, of: np.ndarray | None = None) -> QualityMeans:
        """PQ, SQ and RQ of one sequence or all, averaged over the classes in the (C,) bool array ``of`` (default: all)."""
        counts = self.counts(sequence)
        chosen = np.ones_like(self.table.is_thing) if of is None else of
        if not self.devkit_exact:
            chosen = chosen & (counts.weight > 0)
        if not chosen.any():
            return QualityMeans(None, None, None)
        return QualityMeans(*(float(values[chosen].mean()) for values in per_class(counts)))

    def _unmatched(self, labels: np.ndarray, pixels: np.ndarray, matched: np.ndarray) -> np.ndarray:
        segments, area = areas(labels, pixels)
        return segments[(area >= self.min_area) & ~np.isin(segments, matched)]


def per_class(counts: SegmentCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PQ, SQ and RQ of each class, (C,) float64 each; 0 where there is nothing to divide by."""
    weight, tp = np.maximum(counts.weight, 0.5), np.maximum(counts.tp, 1)
    return counts.iou / weight, counts.iou / tp, counts.tp / weight
