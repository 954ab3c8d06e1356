"""Occlusion is told from label maps: what shrinks and grows again was hidden, what drives away was not."""

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.evaluation.experiments.occlusion import hidden_share, hidden_things

CAR = 13 * LABEL_DIVISOR + 1


def maps(*areas: int, label: int = CAR) -> list[np.ndarray]:
    """One 40x40 map a frame in which a label has so many pixels, the rest being road."""
    frames = []
    for area in areas:
        frame = np.zeros(1600, np.int32)
        frame[:area] = label
        frames.append(frame.reshape(40, 40))
    return frames


@pytest.mark.parametrize(
    ("areas", "hidden"),
    [
        ((200, 90, 210), [1]),
        ((200, 0, 0, 210), [1, 2]),
        ((200, 110, 210), []),  # more than half of it is visible
        ((800, 400, 100, 20), []),  # drives away
        ((0, 0, 300, 300), []),  # comes into view
        ((60, 10, 60), []),  # too small to tell
    ],
)
def test_hidden_is_what_shrinks_and_grows_again(areas, hidden):
    assert [i for i, labels in enumerate(hidden_things(maps(*areas))) if labels == {CAR}] == hidden


def test_the_share_counts_hidden_things_against_visible_ones():
    assert hidden_share(maps(200, 0, 200)) == pytest.approx(1 / 2)
    assert hidden_share(maps(0, 0)) == 0


def test_stuff_and_crowd_are_never_hidden():
    assert not any(hidden_things(maps(200, 0, 200, label=13 * LABEL_DIVISOR)))
