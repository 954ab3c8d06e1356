"""Video panoptic quality: PQ of tubes over the last k frames (Kim et al., Video Panoptic Segmentation, CVPR 2020)."""

from collections import deque
from collections.abc import Iterable

import numpy as np

from mapt_ros.data.labels import ClassSet
from mapt_ros.evaluation.overlaps import Overlaps, merged, overlaps
from mapt_ros.evaluation.pq import PanopticQuality, per_class

WINDOWS = (1, 2, 3, 4)  # frames


class VideoPanopticQuality:
    """Slides windows of 1 to 4 frames over each sequence; it remembers the overlaps of the last four frames.

    A tube is all of a label's pixels in a window. Void, crowd, stuff and matching are as in ``PanopticQuality``; a
    sequence shorter than a window has none of that length. The frames of a sequence have to come in order; sequences
    may be interleaved.
    """

    def __init__(self, classes: ClassSet, *, min_area: int = 0) -> None:
        """
        Args:
            classes: what the labels' class ids mean.
            min_area: pixels that an unmatched tube needs, in all its frames together, to count as missed or surplus.
        """
        self.qualities = {frames: PanopticQuality(classes, min_area=min_area) for frames in WINDOWS}
        self._last: dict[str, deque[Overlaps]] = {}

    def add(self, sequence: str, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Takes a sequence's next frame: two HxW int32 label maps (``class_id * LABEL_DIVISOR + track_id``, -1 = unlabelled).

        Raises:
            InputError: the maps differ in size, or a class is not in the set; nothing is counted then.
        """
        self.add_overlaps(sequence, overlaps(truth, predicted))

    def add_overlaps(self, sequence: str, pairs: Overlaps) -> None:
        """Takes a sequence's next frame as all its pairs, void and crowd included."""
        last = self._last.setdefault(sequence, deque(maxlen=max(WINDOWS)))
        last.append(self.qualities[1].evaluated(pairs))
        tubes = last[-1]
        for frames, quality in self.qualities.items():
            if frames > len(last):
                break
            if frames > 1:
                tubes = merged(_joined(tubes, last[-frames]))
            quality.add_overlaps(sequence, tubes)

    def merge(self, other: "VideoPanopticQuality") -> None:
        """Takes over the sequences that another one of the same settings saw; none of them may be here already."""
        for frames, quality in self.qualities.items():
            quality.merge(other.qualities[frames])
        self._last |= other._last

    def means(self, sequence: str | None = None) -> dict[int, float | None]:
        """PQ of the tubes of each length, of one sequence or of all, averaged over the classes that have any."""
        return {frames: quality.means(sequence).pq for frames, quality in self.qualities.items()}

    def vpq(self, sequence: str | None = None) -> float | None:
        """The mean over the lengths that have tubes; None without any."""
        return _mean(self.means(sequence).values())

    def per_class(self) -> list[float | None]:
        """VPQ of each class over all sequences, in the class set's order; None for classes without tubes."""
        counts = [quality.counts() for quality in self.qualities.values()]
        values = [np.where(c.weight > 0, per_class(c)[0], np.nan) for c in counts]
        return [_mean(None if np.isnan(value) else float(value) for value in column) for column in zip(*values)]


def _joined(one: Overlaps, other: Overlaps) -> Overlaps:
    fields = ("truth", "predicted", "pixels")
    return Overlaps(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in fields))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
