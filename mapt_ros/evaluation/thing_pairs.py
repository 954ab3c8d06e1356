"""The true and predicted things of a frame that mask-based tracking metrics compare, and which of them to pair."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.evaluation.overlaps import ClassTable, Overlaps, areas

_EPS = np.finfo(float).eps
_IOU = 0.5  # from which on two masks may be one thing


@dataclass(frozen=True)
class ThingPairs:
    """A frame's things, of all classes, and the pairs of one class whose masks touch.

    Attributes:
        truth: (G,) int64, labels of the true things, ascending.
        predicted: (P,) int64, labels of the predicted things that count, ascending.
        rows, columns: (E,) positions of each pair in ``truth`` and ``predicted``.
        ious: (E,) float64, never 0.
    """

    truth: np.ndarray
    predicted: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    ious: np.ndarray


def thing_pairs(pairs: Overlaps, table: ClassTable) -> ThingPairs:
    """Picks the things out of all pairs of a frame, as TrackEval prepares KITTI-MOTS.

    Void and the crowd of all classes are the region to ignore: a predicted thing that has more than half of its pixels
    there, and an IoU of 0.5 with no true thing, does not count. Everything else counts with all its pixels.
    """
    crowd = table.crowd(pairs.truth)
    is_truth, is_predicted = table.things(pairs.truth) & ~crowd, table.things(pairs.predicted)
    truth, truth_area = areas(pairs.truth[is_truth], pairs.pixels[is_truth])
    predicted, predicted_area = areas(pairs.predicted[is_predicted], pairs.pixels[is_predicted])

    touch = is_truth & is_predicted & (pairs.truth // LABEL_DIVISOR == pairs.predicted // LABEL_DIVISOR)
    rows = np.searchsorted(truth, pairs.truth[touch])
    columns = np.searchsorted(predicted, pairs.predicted[touch])
    shared = pairs.pixels[touch]
    ious = shared / (truth_area[rows] + predicted_area[columns] - shared)

    ignored = is_predicted & (crowd | (pairs.truth < 0))
    hidden = np.zeros(len(predicted), np.int64)
    labels, pixels = areas(pairs.predicted[ignored], pairs.pixels[ignored])
    hidden[np.searchsorted(predicted, labels)] = pixels
    counts = hidden / predicted_area <= 0.5 + _EPS
    likely = similar(ious)
    counts[columns[likely][heaviest(rows[likely], columns[likely], ious[likely])]] = True

    stay = counts[columns]
    renumbered = np.cumsum(counts) - 1
    return ThingPairs(truth, predicted[counts], rows[stay], renumbered[columns[stay]], ious[stay])


def similar(ious: np.ndarray) -> np.ndarray:
    """(E,) bool: pairs that may be matched. Masks do not overlap, so several may claim a thing only at exactly 0.5."""
    return ious >= _IOU - _EPS


def contested(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(E,) bool: pairs whose row or column belongs to another pair too."""
    if len(rows) == 0:
        return np.zeros(0, bool)
    return (np.bincount(rows)[rows] > 1) | (np.bincount(columns)[columns] > 1)


def heaviest(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(E,) bool: the one-to-one choice among pairs with the largest sum of weights, all of them above 0."""
    open_ = contested(rows, columns)
    chosen = ~open_
    if open_.any():
        matrix_rows, row = np.unique(rows[open_], return_inverse=True)
        matrix_columns, column = np.unique(columns[open_], return_inverse=True)
        matrix = np.zeros((len(matrix_rows), len(matrix_columns)))
        matrix[row, column] = weights[open_]
        assigned = np.zeros(matrix.shape, bool)
        assigned[linear_sum_assignment(matrix, maximize=True)] = True
        chosen[open_] = assigned[row, column]
    return chosen
