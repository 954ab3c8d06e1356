"""Pairs of frames of one sequence at an interval τ, and how far their instances move in between."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.data.frames import Dataset, Frame
from mapt_ros.data.labels import is_instance
from mapt_ros.errors import InputError


@dataclass(frozen=True)
class FramePair:
    """Two frames of one sequence, of one size; a track has the same id in both.

    Attributes:
        previous, current: each HxWx3 uint8 RGB and its HxW int32 label map.
        sequence: its name.
        previous_index, index: positions of the two frames in the sequence, t - τ and t.
    """

    previous: Frame
    current: Frame
    sequence: str
    previous_index: int
    index: int


class FramePairs:
    """All pairs (t - τ, t) of a dataset, the interval chosen anew at every reading.

    τ counts the frames that a sequence has, whatever their numbers. What is drawn is left to an interval policy: for one
    of ``anchors`` it chooses 1 ≤ τ ≤ t, and ``displacements`` tells it what a τ would mean.

    Attributes:
        dataset: as given.
        anchors: (position of the sequence in the dataset, t) of every current frame that has a partner at
            ``min_interval``, in order.
    """

    def __init__(self, dataset: Dataset, min_interval: int = 1) -> None:
        """Lists the pairs; reads nothing yet.

        Args:
            min_interval: the smallest τ that will be asked for, ≥ 1; frames without a partner there are left out.

        Raises:
            InputError: a sequence has one frame only, or all are too short for ``min_interval``.
        """
        if min_interval < 1:
            raise InputError(f"interval {min_interval}: must be at least 1 frame")
        lengths = [len(sequence) for sequence in dataset.sequences]
        for sequence in dataset.sequences:
            if len(sequence) == 1:
                raise InputError(f"{sequence.label_files[0].parent}: has a single frame; a pair needs two")
        if max(lengths) <= min_interval:
            raise InputError(
                f"{dataset.folder}: interval {min_interval} is longer than every sequence; the longest has"
                f" {max(lengths)} frames, so at most {max(lengths) - 1}"
            )
        self.dataset = dataset
        self.anchors = tuple((s, t) for s, length in enumerate(lengths) for t in range(min_interval, length))
        self._centroids: dict[tuple[int, int], dict[int, tuple[float, float]]] = {}

    def __len__(self) -> int:
        return len(self.anchors)

    def read(self, sequence: int, t: int, interval: int) -> FramePair:
        """The pair (t - interval, t) of the sequence at that position in the dataset.

        Raises:
            InputError: a file cannot be read, or the frames differ in size.
        """
        frames = self.dataset.sequences[sequence]
        before = _before(t, interval)
        pair = FramePair(frames.frame(before), frames.frame(t), frames.name, before, t)
        old, new = pair.previous[1].shape, pair.current[1].shape
        if old != new:
            raise InputError(
                f"{frames.image_files[t]}: is {new[1]}x{new[0]} pixels, {frames.image_files[before].name} is"
                f" {old[1]}x{old[0]}; a sequence must keep one size"
            )
        return pair

    def displacements(self, sequence: int, t: int, interval: int) -> dict[int, float]:
        """As the function ``displacements`` for the frames t - interval and t; a frame's label map is read once only."""
        return _distances(self._centroids_of(sequence, _before(t, interval)), self._centroids_of(sequence, t))

    def _centroids_of(self, sequence: int, i: int) -> dict[int, tuple[float, float]]:
        key = (sequence, i)
        if key not in self._centroids:
            self._centroids[key] = centroids(self.dataset.sequences[sequence].labels(i))
        return self._centroids[key]


def displacements(labels_before: np.ndarray, labels_after: np.ndarray) -> dict[int, float]:
    """How far the centroid of each instance's visible pixels moves, in pixels.

    Args:
        labels_before, labels_after: HxW int32 label maps.

    Returns:
        Label (class and id) -> distance, for the instances in both; crowd is none.
    """
    return _distances(centroids(labels_before), centroids(labels_after))


def centroids(labels: np.ndarray) -> dict[int, tuple[float, float]]:
    """Label -> (x, y) in pixels of every instance (track id > 0) in an HxW int32 label map."""
    rows, columns = np.nonzero(is_instance(labels))
    found, inverse = np.unique(labels[rows, columns], return_inverse=True)
    areas = np.bincount(inverse)
    x, y = np.bincount(inverse, columns) / areas, np.bincount(inverse, rows) / areas
    return dict(zip(found.tolist(), zip(x.tolist(), y.tolist(), strict=True), strict=True))


def _before(t: int, interval: int) -> int:
    if not 1 <= interval <= t:
        raise ValueError(f"interval {interval} at frame {t}: must be 1 to {t}")
    return t - interval


def _distances(before: dict[int, tuple[float, float]], after: dict[int, tuple[float, float]]) -> dict[int, float]:
    return {
        label: float(np.hypot(x - before[label][0], y - before[label][1]))
        for label, (x, y) in after.items()
        if label in before
    }
