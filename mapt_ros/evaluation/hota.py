"""Which true and predicted tracks belong together over a sequence: what IDF1 and HOTA are computed from.

IDF1: Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking (ECCVW 2016). HOTA:
Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking (IJCV 2021). Both as TrackEval has them.
"""

from array import array
from collections import Counter

import numpy as np

from mapt_ros.evaluation.thing_pairs import ThingPairs, contested, heaviest, similar

ALPHAS = np.arange(0.05, 0.99, 0.05)  # the thresholds on IoU that HOTA averages over
_EPS = np.finfo(float).eps


class TrackPairs:
    """Counts of one sequence for each pair of tracks that ever touched.

    HOTA settles with hindsight which of several predictions a thing was matched with. Pairs that are alone are counted
    at once; the contested ones of a frame are kept until ``hota``, 12 bytes for each pair.
    """

    def __init__(self) -> None:
        self.truth: Counter = Counter()  # label -> frames
        self.predicted: Counter = Counter()
        self._numbers: dict[tuple[int, int], int] = {}
        self._similar: Counter = Counter()  # number of the pair -> frames with an IoU of 0.5
        self._alignment: list[float] = []  # of each pair: how much of both is in this pair, summed over frames
        self._passed: Counter = Counter()  # (number, how many of ALPHAS its IoU reaches) -> frames
        self._open_pairs, self._open_ious, self._open_frames = array("i"), array("d"), array("i")

    def add(self, pairs: ThingPairs) -> None:
        """Takes the sequence's next frame."""
        self.truth.update(pairs.truth.tolist())
        self.predicted.update(pairs.predicted.tolist())
        if len(pairs.ious) == 0:
            return
        labels = zip(pairs.truth[pairs.rows].tolist(), pairs.predicted[pairs.columns].tolist(), strict=True)
        numbers = np.array([self._numbers.setdefault(pair, len(self._numbers)) for pair in labels])
        self._alignment += [0.0] * (len(self._numbers) - len(self._alignment))
        self._similar.update(numbers[similar(pairs.ious)].tolist())

        rows, columns, ious = pairs.rows, pairs.columns, pairs.ious
        union = np.bincount(rows, ious)[rows] + np.bincount(columns, ious)[columns] - ious
        for number, share in zip(numbers.tolist(), (ious / union).tolist(), strict=True):
            self._alignment[number] += share
        open_ = contested(rows, columns)
        self._passed.update(zip(numbers[~open_].tolist(), _reached(ious[~open_]).tolist(), strict=True))
        if open_.any():
            self._open_pairs.extend(numbers[open_].tolist())
            self._open_ious.extend(ious[open_].tolist())
            self._open_frames.append(int(open_.sum()))

    def idf1(self) -> dict[int, int]:
        """IDTP as true label -> frames: those shared with the one predicted track that suits the whole best."""
        numbers = np.array(list(self._similar), int)
        if len(numbers) == 0:
            return {}
        frames = np.array(list(self._similar.values()))
        truth, predicted = self._labels()
        rows, columns = (np.unique(labels[numbers], return_inverse=True)[1] for labels in (truth, predicted))
        chosen = heaviest(rows, columns, frames)
        return dict(zip(truth[numbers[chosen]].tolist(), frames[chosen].tolist(), strict=True))

    def hota(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each pair of tracks its true label (K,), and for each of ALPHAS the frames in which both are matched
        (K, 19) and their share of all frames with either (K, 19)."""
        truth, predicted = self._labels()
        either = np.array([self.truth[t] + self.predicted[p] for t, p in self._numbers], float)
        reached = np.zeros((len(truth), len(ALPHAS) + 1), np.int64)
        for (number, alphas), frames in self._passed.items():
            reached[number, alphas] += frames

        alignment = np.array(self._alignment)
        alignment /= np.maximum(either - alignment, _EPS)
        numbers, ious = np.array(self._open_pairs, int), np.array(self._open_ious)
        start = 0
        for size in self._open_frames:
            now, iou = numbers[start : start + size], ious[start : start + size]
            _, rows = np.unique(truth[now], return_inverse=True)
            _, columns = np.unique(predicted[now], return_inverse=True)
            chosen = heaviest(rows, columns, alignment[now] * iou)
            reached[now[chosen], _reached(iou[chosen])] += 1
            start += size

        # An IoU that reaches k thresholds counts as a match for the first k.
        matched = np.cumsum(reached[:, ::-1], axis=1)[:, -2::-1]
        return truth, matched, matched / np.maximum(either[:, None] - matched, 1)

    def _labels(self) -> tuple[np.ndarray, np.ndarray]:
        labels = np.array(list(self._numbers), np.int64).reshape(-1, 2)
        return labels[:, 0], labels[:, 1]


def _reached(ious: np.ndarray) -> np.ndarray:
    return np.searchsorted(ALPHAS - _EPS, ious, side="right")
