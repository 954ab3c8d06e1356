"""An association is correct if a thing found in two frames kept its id; hidden things are asked for their id after."""

import numpy as np
import pytest

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR
from mapt_ros.evaluation.experiments.measures import Measured, TrueFrame, shown

CAR = 13 * LABEL_DIVISOR


def frame(*things: tuple[int, int]) -> np.ndarray:
    """A 32x96 map with a 10x10 thing of each label at each column; road elsewhere."""
    labels = np.zeros((32, 96), np.int32)
    for label, x in things:
        labels[5:15, x : x + 10] = label
    return labels


def follow(truth: list[np.ndarray], predicted: list[np.ndarray], hidden: dict[int, set[int]] | None = None) -> Measured:
    measured = Measured.none(KITTI_STEP)
    for i, (true, other) in enumerate(zip(truth, predicted, strict=True)):
        measured.add("0000", 0, TrueFrame.of(true, (hidden or {}).get(i, set())), other)
    return measured


def test_displacement_sorts_correct_and_switched_associations():
    truth = [frame((CAR + 1, x), (CAR + 2, 80)) for x in (0, 3, 33)]
    predicted = [frame((CAR + 7, 0), (CAR + 5, 80)), frame((CAR + 7, 3), (CAR + 5, 80)), frame((CAR + 8, 33))]
    associations = follow(truth, predicted).associations
    assert associations.correct_share(0, 2) == (1.0, 1)  # the parked car, found in the first two frames only
    assert associations.correct_share(2, 8) == (1.0, 1)
    assert associations.correct_share(8) == (0.0, 1)
    assert associations.median_displacement() == pytest.approx(1.5)  # found or not: 3, 0, 30, 0


@pytest.mark.parametrize(("after", "kept"), [(CAR + 7, 1.0), (CAR + 9, 0.0)])
def test_a_hidden_thing_is_asked_for_its_id_when_it_is_found_again(after, kept):
    truth = [frame((CAR + 1, 0)), frame(), frame((CAR + 1, 4)), frame((CAR + 1, 4))]
    predicted = [frame((CAR + 7, 0)), frame(), frame(), frame((after, 4))]
    scores = follow(truth, predicted, hidden={1: {CAR + 1}}).scores()
    assert (scores["hidden"], scores["kept"]) == (1, kept)
    assert scores["IDS"] == 1 - kept


def test_rates_are_for_a_hundred_true_things():
    truth = [frame((CAR + 1, 0), (CAR + 2, 50))] * 5
    predicted = [frame((CAR + 1 + i % 2, 0), (CAR + 3, 50)) for i in range(5)]
    scores = follow(truth, predicted).scores()
    assert (scores["track-frames"], scores["IDS"], scores["IDS / 100"]) == (10, 4, 40.0)


def test_pieces_are_sequences_for_the_metrics_but_associations_go_on():
    measured = Measured.none(KITTI_STEP)
    for i in range(4):
        truth = frame((CAR + 1, i))
        measured.add("0000", i // 2, TrueFrame.of(truth, set()), frame((CAR + 7 + i // 2, i)))
    assert measured.scores()["IDS"] == 0
    assert measured.associations.correct_share() == (pytest.approx(2 / 3), 3)


def test_cells_show_percent_numbers_and_gaps():
    assert [shown("PAT", 0.6265), shown("IDS", 12), shown("IDS / 100", 1.234), shown("kept", None)] == [
        "62.6",
        "12",
        "1.2",
        "-",
    ]
