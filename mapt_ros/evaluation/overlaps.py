"""How many pixels each pair of a true and a predicted label shares in a frame: all that PQ, PAT and STQ need to know."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet
from mapt_ros.errors import InputError


@dataclass(frozen=True)
class Overlaps:
    """The joint histogram of two label maps; label = class_id * LABEL_DIVISOR + track_id, -1 = void.

    Attributes:
        truth: (K,) int64, the true label of each pair; no pair appears twice.
        predicted: (K,) int64, its predicted label.
        pixels: (K,) int64, how many pixels have both; never 0.
    """

    truth: np.ndarray
    predicted: np.ndarray
    pixels: np.ndarray

    def where(self, rows: np.ndarray) -> "Overlaps":
        """Those pairs for which the (K,) bool array says so."""
        return Overlaps(self.truth[rows], self.predicted[rows], self.pixels[rows])

    def ious(self) -> np.ndarray:
        """(K,) float64: each pair's intersection over union, counting only the pixels of these pairs."""
        truth_area, predicted_area = (
            _areas_per_row(self.truth, self.pixels),
            _areas_per_row(self.predicted, self.pixels),
        )
        return self.pixels / (truth_area + predicted_area - self.pixels)


def overlaps(truth: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """Counts the pairs of labels in two label maps of one size, HxW int32 or int64, unlabelled where negative.

    Raises:
        InputError: the maps differ in size.
    """
    if truth.shape != predicted.shape:
        raise InputError(f"prediction is {_size(predicted)}, ground truth is {_size(truth)}; they must be of one size")
    if truth.size == 0:
        return Overlaps(*(np.zeros(0, np.int64) for _ in range(3)))
    codes = [
        _codes(labels.ravel() if labels.min() >= -1 else np.maximum(labels, -1).ravel())
        for labels in (truth, predicted)
    ]
    # Labels come in runs along the rows; sorting the few thousand runs instead of all pixels is what makes this quick.
    changes = (codes[0][1:] != codes[0][:-1]) | (codes[1][1:] != codes[1][:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lengths = np.diff(starts, append=truth.size)
    return _added_up(codes[0][starts], codes[1][starts], lengths)


def areas(labels: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different labels of some pairs without void, ascending, and how many pixels each has; both int64."""
    known = labels >= 0
    unique, inverse = np.unique(labels[known], return_inverse=True)
    return unique, np.bincount(inverse.ravel(), weights=pixels[known], minlength=len(unique)).astype(np.int64)


class ClassTable:
    """Looks up, for arrays of labels, the position of their class in a class set and whether it is a thing."""

    def __init__(self, classes: ClassSet) -> None:
        self.classes = classes
        self.is_thing = np.array([c.is_thing for c in classes.classes], dtype=bool)
        self._positions = np.full(256, -1)
        self._positions[[c.id for c in classes.classes]] = np.arange(len(classes.classes))

    def positions(self, labels: np.ndarray) -> np.ndarray:
        """(K,) positions in ``classes.classes``; that of void, -1, is the number of classes.

        Raises:
            InputError: a label's class is not in the set.
        """
        class_ids = labels // LABEL_DIVISOR
        positions = np.where(labels < 0, len(self.is_thing), self._positions[np.clip(class_ids, 0, 255)])
        if (positions < 0).any():
            raise InputError(
                f"class id {class_ids[positions < 0][0]} is not in the class set {self.classes.name}"
                f" ({', '.join(str(c.id) for c in self.classes.classes)})"
            )
        return positions

    def check(self, labels: np.ndarray) -> None:
        """Complains of classes in a label map that are not in the set.

        Raises:
            InputError: a label's class is not in the set.
        """
        self.positions(np.unique(labels))

    def things(self, labels: np.ndarray) -> np.ndarray:
        """(K,) bool: labels of thing classes, crowd included."""
        return np.append(self.is_thing, False)[self.positions(labels)]

    def crowd(self, labels: np.ndarray) -> np.ndarray:
        """(K,) bool: labels of a thing class without an id, which is how ground truth marks a crowd."""
        return self.things(labels) & (labels % LABEL_DIVISOR == 0)

    def merge_stuff(self, labels: np.ndarray) -> np.ndarray:
        """(K,) labels in which stuff has no ids: all of a stuff class in a frame is one segment."""
        stuff = (labels >= 0) & ~self.things(labels)
        return np.where(stuff, labels - labels % LABEL_DIVISOR, labels)


def merged(pairs: Overlaps) -> Overlaps:
    """The same pairs with equal ones added up, as they may be after labels were replaced."""
    return _added_up(_codes(pairs.truth), _codes(pairs.predicted), pairs.pixels)


def _codes(labels: np.ndarray) -> np.ndarray:
    """One more than a label fits 32 bits without a sign for all classes up to 254, and void becomes 0."""
    return np.add(labels, 1, dtype=np.uint32, casting="unsafe")


def _added_up(truth: np.ndarray, predicted: np.ndarray, pixels: np.ndarray) -> Overlaps:
    """The different pairs of codes, and the sums of their pixels."""
    joint = (truth.astype(np.uint64) << np.uint64(32)) | predicted.astype(np.uint64)
    pairs, inverse = np.unique(joint, return_inverse=True)
    sums = np.bincount(inverse.ravel(), weights=pixels, minlength=len(pairs)).astype(np.int64)
    return Overlaps(
        (pairs >> np.uint64(32)).astype(np.int64) - 1, (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64) - 1, sums
    )


def _areas_per_row(labels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    unique, inverse = np.unique(labels, return_inverse=True)
    return np.bincount(inverse.ravel(), weights=pixels, minlength=len(unique)).astype(np.int64)[inverse.ravel()]


def _size(labels: np.ndarray) -> str:
    return "x".join(str(n) for n in labels.shape)
