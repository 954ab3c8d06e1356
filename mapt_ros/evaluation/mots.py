"""Tracking of things by their masks: CLEAR-MOTS (MOTSA, sMOTSA, ID switches, fragmentations), IDF1 and HOTA.

CLEAR-MOTS: Voigtlaender et al., MOTS: Multi-Object Tracking and Segmentation (CVPR 2019). All three as TrackEval computes
them for KITTI-MOTS.
"""

from collections import Counter
from dataclasses import dataclass, field, fields

import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet
from mapt_ros.evaluation.hota import ALPHAS, TrackPairs
from mapt_ros.evaluation.overlaps import ClassTable, Overlaps, overlaps
from mapt_ros.evaluation.thing_pairs import ThingPairs, heaviest, similar, thing_pairs


@dataclass
class ThingCounts:
    """Sums over frames, each an array with one row a class, in the class set's order.

    Attributes:
        truth, predicted: (C,) int64, masks that count.
        tp: (C,) int64, pairs of them that are matched, with IoU of 0.5 at least.
        iou: (C,) float64, sum of the matched pairs' IoU.
        switches: (C,) int64, matches with another track than the thing's last match, however long ago.
        fragmentations: (C,) int64, how often a thing is matched again after frames in which it was not.
        idtp: (C,) int64, IDF1's true positives.
        matched: (C, 19) float64, HOTA's true positives at each threshold of the IoU.
        association: (C, 19) float64, sum of their association scores.
    """

    truth: np.ndarray
    predicted: np.ndarray
    tp: np.ndarray
    iou: np.ndarray
    switches: np.ndarray
    fragmentations: np.ndarray
    idtp: np.ndarray
    matched: np.ndarray
    association: np.ndarray

    @classmethod
    def none(cls, classes: int) -> "ThingCounts":
        integers = [np.zeros(classes, np.int64) for _ in range(6)]
        truth, predicted, tp, switches, fragmentations, idtp = integers
        alphas = (np.zeros((classes, len(ALPHAS))) for _ in range(2))
        return cls(truth, predicted, tp, np.zeros(classes), switches, fragmentations, idtp, *alphas)

    def __add__(self, other: "ThingCounts") -> "ThingCounts":
        return ThingCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class ThingScores:
    """Of one thing class, or on average; IDS and fragmentations are numbers, the others at most 1."""

    motsa: float
    smotsa: float
    idf1: float
    hota: float
    deta: float
    assa: float
    ids: int
    fragmentations: int


@dataclass(frozen=True)
class ThingMatches:
    """What CLEAR-MOTS makes of the true things of one frame.

    Attributes:
        truth: (G,) int64, their labels, ascending.
        carried: true label -> predicted label it is matched with; without those that are missed.
        switched: true label -> the label it was last matched with, where that is another one.
    """

    truth: np.ndarray
    carried: dict[int, int]
    switched: dict[int, int]


@dataclass
class _Sequence:
    """CLEAR-MOTS's state and sums, and the tables of tracks for the others."""

    counts: ThingCounts
    last: dict[int, int] = field(default_factory=dict)  # true label -> label it was last matched with
    previous: dict[int, int] = field(
        default_factory=dict
    )  # the same for the class's last frame with things on both sides
    tracks: TrackPairs = field(default_factory=TrackPairs)


class ThingTracking:
    """Follows the things of each class frame by frame; each class by itself, a predicted id belongs to its class.

    Its memory grows with the number of ids, and for HOTA by a few bytes with every frame in which masks touch more than
    one other (see ``TrackPairs``). The frames of a sequence have to come in order; sequences may be interleaved.
    """

    def __init__(self, classes: ClassSet) -> None:
        self.table = ClassTable(classes)
        self._sequences: dict[str, _Sequence] = {}
        self._finished: dict[str, ThingCounts] = {}

    def add(self, sequence: str, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Takes a sequence's next frame: two HxW int32 label maps (``class_id * LABEL_DIVISOR + track_id``, -1 = unlabelled).

        Raises:
            InputError: the maps differ in size, or a class is not in the set; nothing is counted then.
        """
        self.add_overlaps(sequence, overlaps(truth, predicted))

    def add_overlaps(self, sequence: str, pairs: Overlaps) -> ThingMatches:
        """Takes a sequence's next frame as all its pairs, void and crowd included."""
        things = thing_pairs(pairs, self.table)
        self._finished.pop(sequence, None)
        state = self._sequences.setdefault(sequence, _Sequence(ThingCounts.none(len(self.table.is_thing))))
        state.tracks.add(things)
        return self._clear_mots(state, things)

    def merge(self, other: "ThingTracking") -> None:
        """Takes over the sequences that another one of the same classes saw; none of them may be here already."""
        self._sequences |= other._sequences
        self._finished |= other._finished

    def counts(self, sequence: str | None = None) -> ThingCounts:
        """Of one sequence, or of all together."""
        if sequence is None:
            return sum(map(self.counts, self._sequences), ThingCounts.none(len(self.table.is_thing)))
        if sequence not in self._finished:
            self._finished[sequence] = self._finish(self._sequences[sequence])
        return self._finished[sequence]

    def per_class(self, sequence: str | None = None) -> list[ThingScores | None]:
        """Of each class, in the class set's order; None for classes without a true thing."""
        counts = self.counts(sequence)
        return [_scores(counts, i) if counts.truth[i] else None for i in range(len(counts.truth))]

    def means(self, sequence: str | None = None) -> ThingScores | None:
        """Averaged over the thing classes with ground truth, IDS and fragmentations summed; None without ground truth."""
        known = [scores for scores in self.per_class(sequence) if scores is not None]
        if not known:
            return None
        names = ("motsa", "smotsa", "idf1", "hota", "deta", "assa")
        means = {name: float(np.mean([getattr(scores, name) for scores in known])) for name in names}
        sums = {name: sum(getattr(scores, name) for scores in known) for name in ("ids", "fragmentations")}
        return ThingScores(**means, **sums)

    def _clear_mots(self, state: _Sequence, things: ThingPairs) -> ThingMatches:
        """Matches the frame's things, going on with the frame before's matches where two would do, and counts."""
        counts, position = state.counts, self.table.positions
        np.add.at(counts.truth, position(things.truth), 1)
        np.add.at(counts.predicted, position(things.predicted), 1)

        rows = similar(things.ious)
        truth, predicted = things.truth[things.rows[rows]], things.predicted[things.columns[rows]]
        goes_on = [state.previous.get(t) == p for t, p in zip(truth.tolist(), predicted.tolist(), strict=True)]
        chosen = heaviest(things.rows[rows], things.columns[rows], things.ious[rows] + 1000 * np.array(goes_on, float))
        truth, predicted, ious = truth[chosen], predicted[chosen], things.ious[rows][chosen]
        np.add.at(counts.tp, position(truth), 1)
        np.add.at(counts.iou, position(truth), ious)

        now = dict(zip(truth.tolist(), predicted.tolist(), strict=True))
        switched = {label: state.last[label] for label, other in now.items() if state.last.get(label, other) != other}
        for (label, other), i in zip(now.items(), position(truth).tolist(), strict=True):
            counts.switches[i] += label in switched
            counts.fragmentations[i] += label in state.last and label not in state.previous
            state.last[label] = other
        # As in TrackEval, a frame in which a class has things on one side only interrupts nothing.
        both = set((things.truth // LABEL_DIVISOR).tolist()) & set((things.predicted // LABEL_DIVISOR).tolist())
        kept = {label: other for label, other in state.previous.items() if label // LABEL_DIVISOR not in both}
        state.previous = kept | now
        return ThingMatches(things.truth, now, switched)

    def _finish(self, state: _Sequence) -> ThingCounts:
        """The sums of a sequence, with those that need all of it."""
        counts = ThingCounts.none(len(self.table.is_thing)) + state.counts
        idtp: Counter = Counter(state.tracks.idf1())
        np.add.at(counts.idtp, self.table.positions(np.array(list(idtp), np.int64)), np.array(list(idtp.values()), int))
        labels, matched, association = state.tracks.hota()
        np.add.at(counts.matched, self.table.positions(labels), matched)
        np.add.at(counts.association, self.table.positions(labels), matched * association)
        return counts


def _scores(counts: ThingCounts, i: int) -> ThingScores:
    """Of the class at position i, which has a true thing."""
    truth, predicted, tp = int(counts.truth[i]), int(counts.predicted[i]), int(counts.tp[i])
    wrong = predicted - tp + int(counts.switches[i])
    deta = counts.matched[i] / (truth + predicted - counts.matched[i])
    assa = counts.association[i] / np.maximum(counts.matched[i], 1)
    return ThingScores(
        motsa=(tp - wrong) / truth,
        smotsa=(float(counts.iou[i]) - wrong) / truth,
        idf1=2 * int(counts.idtp[i]) / (truth + predicted),
        hota=float(np.sqrt(deta * assa).mean()),
        deta=float(deta.mean()),
        assa=float(assa.mean()),
        ids=int(counts.switches[i]),
        fragmentations=int(counts.fragmentations[i]),
    )
