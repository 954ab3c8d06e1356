"""Follows ground-truth things through predictions: which track id each of them carried, and how often it changed."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR, is_instance
from mapt_ros.evaluation.overlaps import Overlaps, overlaps


@dataclass
class Identities:
    """Counts over the frames of one sequence.

    Attributes:
        carried: ground-truth label -> how many frames it was matched with each predicted label.
        switches: matched frames in which a thing has another predicted label than when last matched.
        things: ground-truth things seen so far, summed over frames.
        matched: those of them that a prediction explains.
    """

    carried: dict[int, Counter] = field(default_factory=dict)
    switches: int = 0
    things: int = 0
    matched: int = 0
    _last: dict[int, int] = field(default_factory=dict)

    def add(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Takes the next frame: two HxW int32 label maps.

        A thing is matched with the predicted thing of its class whose mask has an IoU over 0.5 with it; there is at
        most one.
        """
        for label, other in match_things(overlaps(truth, predicted)).items():
            self.things += 1
            if other is None:
                continue
            self.matched += 1
            self.switches += self._last.get(label, other) != other
            self._last[label] = other
            self.carried.setdefault(label, Counter())[other] += 1

    def persistent(self, frames: int) -> dict[int, int]:
        """Ground-truth label -> the predicted label that it carried for at least so many frames.

        One to one: a predicted label that several things carried counts for the one that carried it longest.
        """
        longest: dict[int, tuple[int, int]] = {}
        for label, counts in self.carried.items():
            other, count = counts.most_common(1)[0]
            if count >= frames and count > longest.get(other, (0, 0))[1]:
                longest[other] = (label, count)
        return {label: other for other, (label, _) in longest.items()}


def match_things(pairs: Overlaps) -> dict[int, int | None]:
    """Every thing of a frame's true labels -> the predicted thing of its class with IoU > 0.5, or None."""
    things = is_instance(pairs.truth)
    rows = things & is_instance(pairs.predicted) & (pairs.ious() > 0.5)
    rows &= pairs.truth // LABEL_DIVISOR == pairs.predicted // LABEL_DIVISOR
    matches: dict[int, int | None] = dict.fromkeys(np.unique(pairs.truth[things]).tolist())
    return matches | dict(zip(pairs.truth[rows].tolist(), pairs.predicted[rows].tolist(), strict=True))
