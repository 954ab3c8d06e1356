"""Panoptic tracking: PAT, TQ, PTQ and sPTQ (Fong et al., Panoptic nuScenes, arXiv 2109.03805, and its devkit)."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet
from mapt_ros.evaluation.overlaps import Overlaps, areas, overlaps
from mapt_ros.evaluation.pq import Matches, PanopticQuality

_UNMATCHED = -1  # what a true thing carries in a frame in which no prediction explains it


@dataclass
class TrackRecord:
    """What one true thing went through.

    Attributes:
        frames: in which it is large enough to be recorded.
        switches: recorded frames after the first whose match differs from the one before, or follows a frame without.
        carried: predicted label -> frames matched with it.
        last: the label of the last recorded frame, or -1.
    """

    frames: int = 0
    switches: int = 0
    carried: Counter = field(default_factory=Counter)
    last: int = _UNMATCHED

    def add(self, label: int) -> None:
        if self.frames:
            self.switches += label != self.last or self.last == _UNMATCHED
        if label != _UNMATCHED:
            self.carried[label] += 1
        self.frames += 1
        self.last = label


@dataclass
class _Sequence:
    """A sequence's id tables, and the things matched in its last frame, for PTQ's switches."""

    switches: np.ndarray
    switched_iou: np.ndarray
    tracks: dict[int, TrackRecord] = field(default_factory=dict)
    predicted_frames: Counter = field(default_factory=Counter)
    last_matches: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TrackingMeans:
    """PAT, TQ, PTQ, sPTQ; None for what has nothing to be computed from."""

    pat: float | None
    tq: float | None
    ptq: float | None
    sptq: float | None


class PanopticTracking:
    """Follows the true things frame by frame; its memory grows with the number of ids, not of frames.

    TQ of a thing is sqrt(AQ * IS): how much of it the predicted tracks cover, and how rarely they change. The frames
    of a sequence have to come in order; sequences may be interleaved.
    """

    def __init__(self, classes: ClassSet, *, min_area: int = 0, devkit_exact: bool = False) -> None:
        """
        Args:
            classes: what the labels' class ids mean.
            min_area: a thing is recorded in frames where it has more pixels than this; for PQ see there.
            devkit_exact: what the nuScenes devkit computes, where it does what one would not expect: predicted stuff
                may carry a thing's identity, a predicted track's matches below ``min_area`` are not among its frames
                (so that TQ may exceed 1), PQ counts absent classes as 0.
        """
        self.quality = PanopticQuality(classes, min_area=min_area, devkit_exact=devkit_exact)
        self._sequences: dict[str, _Sequence] = {}

    def add(self, sequence: str, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Takes a sequence's next frame: two HxW int32 label maps; counts it for ``quality`` too.

        Raises:
            InputError: the maps differ in size, or a class is not in the set; nothing is counted then.
        """
        self.add_overlaps(sequence, overlaps(truth, predicted))

    def add_overlaps(self, sequence: str, pairs: Overlaps) -> None:
        """Takes a sequence's next frame as all its pairs, void and crowd included."""
        pairs = self.quality.evaluated(pairs)
        matches = self.quality.add_overlaps(sequence, pairs)
        classes = len(self.quality.table.is_thing)
        state = self._sequences.setdefault(sequence, _Sequence(np.zeros(classes, np.int64), np.zeros(classes)))
        self._count_switches(state, matches)
        self._follow(state, pairs)

    def merge(self, other: "PanopticTracking") -> None:
        """Takes over the sequences that another one of the same settings saw; none of them may be here already."""
        self.quality.merge(other.quality)
        self._sequences |= other._sequences

    def track_qualities(self, sequence: str | None = None) -> list[tuple[int, float]]:
        """(true label, TQ) of every recorded thing of one sequence, or of all."""
        states = self._sequences.values() if sequence is None else [self._sequences[sequence]]
        return [
            (label, self._quality(record, state.predicted_frames))
            for state in states
            for label, record in state.tracks.items()
        ]

    def per_class(self, sequence: str | None = None) -> list[TrackingMeans]:
        """TQ, PTQ and sPTQ of each class, in the class set's order; ``pat`` is always None."""
        counts = self.quality.counts(sequence)
        states = self._sequences.values() if sequence is None else [self._sequences[sequence]]
        none = np.zeros(len(counts.iou))
        switches = sum((state.switches for state in states), none)
        switched_iou = sum((state.switched_iou for state in states), none)
        qualities = self.track_qualities(sequence)
        means = []
        for position, info in enumerate(self.quality.table.classes.classes):
            own = [quality for label, quality in qualities if label // LABEL_DIVISOR == info.id]
            tq = float(np.mean(own)) if own else None
            if counts.tp[position] + counts.fn[position] == 0:
                means.append(TrackingMeans(None, tq, None, None))
                continue
            iou, weight = counts.iou[position], counts.weight[position]
            ptq, sptq = (iou - switches[position]) / weight, (iou - switched_iou[position]) / weight
            means.append(TrackingMeans(None, tq, float(ptq), float(sptq)))
        return means

    def means(self, sequence: str | None = None) -> TrackingMeans:
        """Of one sequence or all: TQ over things, PTQ and sPTQ over the classes with true segments."""
        qualities = [quality for _, quality in self.track_qualities(sequence)]
        tq = float(np.mean(qualities)) if qualities else None
        pq = self.quality.means(sequence).pq
        if pq is None or tq is None:
            pat = None
        else:
            pat = 2 * pq * tq / (pq + tq) if pq + tq else 0.0
        present = [m for m in self.per_class(sequence) if m.ptq is not None]
        if not present:
            return TrackingMeans(pat, tq, None, None)
        return TrackingMeans(
            pat, tq, float(np.mean([m.ptq for m in present])), float(np.mean([m.sptq for m in present]))
        )

    def _quality(self, record: TrackRecord, predicted_frames: Counter) -> float:
        association = 0.0
        for label, matched in record.carried.items():
            surplus = predicted_frames[label] - matched
            # With a minimum area a prediction may be matched in frames in which it is too small to be counted.
            if surplus < 0 and not (self.quality.devkit_exact and predicted_frames[label]):
                surplus = 0
            association += matched**2 / (record.frames + surplus)
        association /= record.frames
        steadiness = 1 - record.switches / (record.frames - 1) if record.frames > 1 else 1.0
        return float(np.sqrt(association * steadiness))

    def _count_switches(self, state: _Sequence, matches: Matches) -> None:
        """PTQ's switches: a thing matched in this frame and the one just before it, with different labels."""
        table, now = self.quality.table, {}
        rows = np.flatnonzero(table.things(matches.truth))
        positions = table.positions(matches.truth)
        for row in rows.tolist():
            label, other = int(matches.truth[row]), int(matches.predicted[row])
            now[label] = other
            if state.last_matches.get(label, other) != other:
                state.switches[positions[row]] += 1
                state.switched_iou[positions[row]] += matches.iou[row]
        state.last_matches = now

    def _follow(self, state: _Sequence, pairs: Overlaps) -> None:
        """TQ's records: a thing's match is the predicted label with IoU > 0.5, of whatever class."""
        table, min_area = self.quality.table, self.quality.min_area
        labels, area = areas(pairs.predicted, pairs.pixels)
        state.predicted_frames.update(labels[area > min_area].tolist())

        rows = (pairs.ious() > 0.5) & (pairs.predicted >= 0)
        if not self.quality.devkit_exact:
            rows &= table.things(pairs.predicted)  # stuff has no identity that a thing could carry
        carried = dict(zip(pairs.truth[rows].tolist(), pairs.predicted[rows].tolist(), strict=True))
        labels, area = areas(pairs.truth, pairs.pixels)
        for label in labels[(area > min_area) & table.things(labels)].tolist():
            state.tracks.setdefault(label, TrackRecord()).add(carried.get(label, _UNMATCHED))
