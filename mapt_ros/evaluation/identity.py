"""Follows ground-truth things through predictions: which track id each of them carried, and how often it changed."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR


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
        for label, other in match_things(truth, predicted).items():
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


def match_things(truth: np.ndarray, predicted: np.ndarray) -> dict[int, int | None]:
    """Every thing of an HxW label map -> the thing of its class in the other with IoU > 0.5, or None."""
    labels = np.unique(truth[(truth >= 0) & (truth % LABEL_DIVISOR > 0)])
    matches: dict[int, int | None] = {}
    for label in labels.tolist():
        mask = truth == label
        candidates, counts = np.unique(predicted[mask], return_counts=True)
        best, shared = int(candidates[counts.argmax()]), int(counts.max())
        union = int(mask.sum()) + int((predicted == best).sum()) - shared
        is_thing = best >= 0 and best % LABEL_DIVISOR > 0
        same_class = best // LABEL_DIVISOR == label // LABEL_DIVISOR
        matches[label] = best if is_thing and same_class and 2 * shared > union else None
    return matches
