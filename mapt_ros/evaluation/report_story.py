"""What a report tells of a sequence, gathered frame by frame: who carried each thing, confused pixels, the worst frames."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mapt_ros.data.labels import ClassSet
from mapt_ros.evaluation.mots import ThingMatches
from mapt_ros.evaluation.overlaps import ClassTable, Overlaps
from mapt_ros.evaluation.pq import PanopticQuality

MISSED = -1  # carried by nobody
APART = 10  # frames between two worst frames of a sequence; neighbours look the same
_KEPT = 4  # worst frames a sequence
_BINS = 400  # that a sequence's course of PQ is drawn with at most


@dataclass
class Run:
    """Frames in a row in which a thing is carried by the same predicted label, or missed.

    Attributes:
        first, last: positions in the sequence, both included.
        carried: the predicted label, or ``MISSED``.
        switch_from: the label that it takes over from, if its first frame is an identity switch.
    """

    first: int
    last: int
    carried: int
    switch_from: int | None = None


@dataclass(frozen=True)
class Switch:
    """An identity switch: the thing's label, the predicted label before, last seen at that position, and the one now."""

    label: int
    before: int
    now: int
    last_seen: int


@dataclass(frozen=True)
class Moment:
    """One frame worth a look.

    Attributes:
        position: in the sequence.
        badness: what it was chosen by; more is worse.
        pq: of the frame alone, None if it has nothing to measure.
        switches: in this frame.
    """

    position: int
    badness: tuple[float, ...]
    pq: float | None
    switches: tuple[Switch, ...]


class Worst:
    """Keeps the worst frames of a sequence, ``APART`` frames from each other at least."""

    def __init__(self) -> None:
        self.kept: list[Moment] = []

    def add(self, moment: Moment) -> None:
        near = [kept for kept in self.kept if moment.position - kept.position < APART]
        if any(kept.badness >= moment.badness for kept in near):
            return
        others = [kept for kept in self.kept if kept not in near]
        self.kept = sorted([*others, moment], key=lambda kept: kept.badness, reverse=True)[:_KEPT]


class Course:
    """The mean of a value over bins of frames; when they fill up, each two become one."""

    def __init__(self) -> None:
        self.frames_a_bin = 1
        self._sums, self._counts = np.zeros(_BINS), np.zeros(_BINS, np.int64)

    def add(self, position: int, value: float) -> None:
        while position // self.frames_a_bin >= _BINS:
            for values in (self._sums, self._counts):
                values[: _BINS // 2] = values.reshape(-1, 2).sum(axis=1)
                values[_BINS // 2 :] = 0
            self.frames_a_bin *= 2
        self._sums[position // self.frames_a_bin] += value
        self._counts[position // self.frames_a_bin] += 1

    def points(self) -> list[tuple[int, float]]:
        """(position of a bin's first frame, mean) of every bin that has values."""
        filled = np.flatnonzero(self._counts)
        means = self._sums[filled] / self._counts[filled]
        return list(zip((filled * self.frames_a_bin).tolist(), means.tolist(), strict=True))


@dataclass
class SequenceStory:
    """One sequence; its memory grows with the ids and their changes, not with the frames.

    Attributes:
        classes: what the labels' class ids mean.
        min_area: as for PQ.
        frames: so far.
        tracks: true label -> its runs, in order.
        confusion: (C + 1)x(C + 1) int64 pixels, true class by predicted class in the class set's order, void last.
        lowest_pq, most_switches: frames worth a look; perfect ones are not.
        course: PQ of each frame alone.
        objects: true things over all frames.
    """

    classes: ClassSet
    min_area: int = 0
    frames: int = 0
    tracks: dict[int, list[Run]] = field(default_factory=dict)
    confusion: np.ndarray = field(init=False)
    lowest_pq: Worst = field(default_factory=Worst)
    most_switches: Worst = field(default_factory=Worst)
    course: Course = field(default_factory=Course)

    def __post_init__(self) -> None:
        self._table = ClassTable(self.classes)
        size = len(self.classes.classes) + 1
        self.confusion = np.zeros((size, size), np.int64)

    def add(self, pairs: Overlaps, things: ThingMatches, predicted: bool = True) -> None:
        """Takes the next frame.

        Args:
            pairs: all of it, void and crowd included.
            things: how CLEAR-MOTS matches its things.
            predicted: False if there was no prediction at all, which is nothing to look at.
        """
        position, self.frames = self.frames, self.frames + 1
        rows, columns = self._table.positions(pairs.truth), self._table.positions(pairs.predicted)
        np.add.at(self.confusion, (rows, columns), pairs.pixels)
        for label in things.truth.tolist():
            self._follow(label, position, things)

        pq = frame_quality(pairs, self.classes, self.min_area)
        if pq is not None:
            self.course.add(position, pq)
        if not predicted:
            return
        switches = tuple(
            Switch(label, before, things.carried[label], self._last_seen(label))
            for label, before in sorted(things.switched.items())
        )
        if pq is not None and pq < 1:
            self.lowest_pq.add(Moment(position, (1 - pq, len(switches)), pq, switches))
        if switches:
            self.most_switches.add(Moment(position, (len(switches), 1 - (pq or 0.0)), pq, switches))

    @property
    def switches(self) -> int:
        return sum(run.switch_from is not None for runs in self.tracks.values() for run in runs)

    def _last_seen(self, label: int) -> int:
        """Where a thing that has just switched was carried by the label before."""
        return next(run.last for run in reversed(self.tracks[label][:-1]) if run.carried != MISSED)

    def _follow(self, label: int, position: int, things: ThingMatches) -> None:
        carried, runs = things.carried.get(label, MISSED), self.tracks.setdefault(label, [])
        if runs and runs[-1].last == position - 1 and runs[-1].carried == carried:
            runs[-1].last = position
        else:
            runs.append(Run(position, position, carried, things.switched.get(label)))


def frame_quality(pairs: Overlaps, classes: ClassSet, min_area: int) -> float | None:
    """PQ of one frame alone, over its classes with a segment on either side; None without any."""
    quality = PanopticQuality(classes, min_area=min_area)
    quality.add_overlaps("", quality.evaluated(pairs))
    return quality.means().pq


def worst_of(stories: dict[str, SequenceStory], of: Callable[[SequenceStory], Worst], count: int) -> list:
    """(sequence, moment) of the ``count`` worst frames of all sequences, the worst first."""
    moments = [(name, moment) for name, story in stories.items() for moment in of(story).kept]
    return sorted(moments, key=lambda entry: entry[1].badness, reverse=True)[:count]
