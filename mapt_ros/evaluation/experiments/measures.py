"""What a study reads off label maps: the metrics, and whether things that were seen before kept their identity."""

from dataclasses import dataclass, field

import numpy as np

from mapt_ros.data.labels import ClassSet
from mapt_ros.data.pairs import centroids
from mapt_ros.evaluation.evaluate import Evaluator
from mapt_ros.evaluation.identity import match_things
from mapt_ros.evaluation.propagation import PropagationQuality

# How tables show them: numbers, pixels and rates as they are, everything else in percent.
_WHOLE = {"IDS", "fragmentations", "track-frames", "associations", "hidden"}
_DECIMAL = {"IDS / 100", "fragmentations / 100", "displacement"}


@dataclass(frozen=True)
class TrueFrame:
    """One frame of ground truth.

    Attributes:
        labels: HxW int32 label map.
        hidden: labels of the things that are hidden in it.
        centroids: label -> (x, y) in pixels of every thing.
    """

    labels: np.ndarray
    hidden: set[int]
    centroids: dict[int, tuple[float, float]]

    @classmethod
    def of(cls, labels: np.ndarray, hidden: set[int]) -> "TrueFrame":
        return cls(labels, hidden, centroids(labels))


@dataclass
class Associations:
    """What became of things from one frame that a tracker saw to the next, and over the time in which they were hidden.

    A thing is found where a predicted thing of its class has an IoU over 0.5 with it; an association is correct if the
    predicted id is the same in both frames.

    Attributes:
        displacement: pixels that the centroid of each thing moved that is in both frames.
        found: of those, whether it was found in both.
        correct: of those, whether it was found in both under one id.
        hidden: found things that were hidden for some frames and found again after.
        kept: those of them that had the id from before.
    """

    displacement: list[float] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    correct: list[bool] = field(default_factory=list)
    hidden: int = 0
    kept: int = 0
    _last: dict[str, tuple[TrueFrame, dict[int, int]]] = field(default_factory=dict)
    _ids: dict[str, dict[int, int]] = field(default_factory=dict)  # sequence -> thing -> id when it was last found
    _were_hidden: dict[str, set[int]] = field(default_factory=dict)  # since then

    def add(self, sequence: str, truth: TrueFrame, ids: dict[int, int]) -> None:
        """Takes a sequence's next frame: its ground truth, and the predicted label of each thing that was found."""
        if sequence in self._last:
            before, old = self._last[sequence]
            for label in truth.centroids.keys() & before.centroids.keys():
                (x, y), (x0, y0) = truth.centroids[label], before.centroids[label]
                self.displacement.append(float(np.hypot(x - x0, y - y0)))
                self.found.append(label in old and label in ids)
                self.correct.append(self.found[-1] and old[label] == ids[label])
        known, flagged = self._ids.setdefault(sequence, {}), self._were_hidden.setdefault(sequence, set())
        flagged |= truth.hidden & known.keys()
        for label, predicted in ids.items():
            if label in truth.hidden:
                continue
            if label in flagged:
                self.hidden += 1
                self.kept += known[label] == predicted
                flagged.discard(label)
            known[label] = predicted
        self._last[sequence] = truth, ids

    def correct_share(self, least: float = 0.0, below: float = np.inf) -> tuple[float | None, int]:
        """Of the things found in both frames that moved by ``least`` up to ``below`` pixels: share correct, and number."""
        moved = np.array(self.displacement)
        rows = np.array(self.found, dtype=bool) & (moved >= least) & (moved < below)
        count = int(rows.sum())
        return (float(np.array(self.correct)[rows].mean()) if count else None), count

    def median_displacement(self) -> float | None:
        """Pixels; of all things that are in both frames, found or not."""
        return float(np.median(self.displacement)) if self.displacement else None


@dataclass
class Measured:
    """Everything that is measured of one row of a study's table."""

    evaluator: Evaluator
    associations: Associations = field(default_factory=Associations)
    propagation: PropagationQuality = field(default_factory=PropagationQuality)

    @classmethod
    def none(cls, classes: ClassSet) -> "Measured":
        return cls(Evaluator(classes))

    def add(self, sequence: str, piece: int, truth: TrueFrame, predicted: np.ndarray) -> None:
        """Takes a sequence's next frame with its HxW int32 predicted label map.

        Args:
            piece: of the sequence, by number; the metrics take each piece for a sequence, associations go on.

        Raises:
            InputError: the maps differ in size, or a class is not in the set.
        """
        name = sequence if piece == 0 else f"{sequence} piece {piece}"
        pairs, _ = self.evaluator.add(name, truth.labels, predicted)
        found = {label: other for label, other in match_things(pairs).items() if other is not None}
        self.associations.add(sequence, truth, found)

    def scores(self) -> dict[str, float | int | None]:
        """By name: those of ``mapt evaluate``, and what studies add; None where there is nothing to measure."""
        scores, things = self.evaluator.scores(), self.evaluator.things.means()
        fragmentations = None if things is None else things.fragmentations
        track_frames = int(self.evaluator.things.counts().truth.sum())
        associations = self.associations
        correct, count = associations.correct_share()
        propagation = self.propagation.summary()
        return scores | {
            "fragmentations": fragmentations,
            "track-frames": track_frames,
            "IDS / 100": None if things is None else 100 * things.ids / track_frames,
            "fragmentations / 100": None if things is None else 100 * fragmentations / track_frames,
            "correct": correct,
            "associations": count,
            "displacement": associations.median_displacement(),
            "hidden": associations.hidden,
            "kept": associations.kept / associations.hidden if associations.hidden else None,
            "carried IoU": propagation["carried_iou"],
            "copied IoU": propagation["copied_iou"],
        }


def shown(name: str, value: float | None) -> str:
    """A measure as a table's cell."""
    if value is None:
        return "-"
    if name in _WHOLE:
        return str(value)
    return f"{value:.1f}" if name in _DECIMAL else f"{100 * value:.1f}"
