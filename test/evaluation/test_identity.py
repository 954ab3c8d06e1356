"""Ground-truth things are followed through predictions, and a switch is counted when and only when the id changes."""

import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.evaluation.identity import Identities, match_things
from mapt_ros.evaluation.overlaps import overlaps

CAR, PERSON = 13 * LABEL_DIVISOR, 11 * LABEL_DIVISOR


def picture(*things: tuple[int, slice]) -> np.ndarray:
    """One row of 20 pixels of road with things in it."""
    labels = np.zeros((1, 20), dtype=np.int32)
    for label, columns in things:
        labels[0, columns] = label
    return labels


LEFT, RIGHT = slice(0, 8), slice(10, 18)


def test_a_thing_is_matched_above_half_iou_with_its_own_class_only():
    truth = picture((CAR + 1, LEFT))
    for predicted, expected in (
        (picture((CAR + 5, slice(0, 5))), CAR + 5),  # 5 of 8
        (picture((CAR + 5, slice(0, 4))), None),  # exactly half
        (picture((PERSON + 5, LEFT)), None),
        (picture((CAR, LEFT)), None),  # crowd is no thing
        (np.full((1, 20), -1, np.int32), None),
    ):
        assert match_things(overlaps(truth, predicted)) == {CAR + 1: expected}


def test_switches_are_counted_against_the_last_match_also_over_a_gap():
    identities = Identities()
    truth = picture((CAR + 1, LEFT), (CAR + 2, RIGHT))
    for left, right in [(5, 6), (5, None), (5, 7), (8, 7), (5, 7)]:
        things = [(CAR + left, LEFT)] + ([(CAR + right, RIGHT)] if right else [])
        identities.add(truth, picture(*things))
    assert identities.switches == 3  # 6 to 7 over a gap, 5 to 8, 8 to 5
    assert (identities.things, identities.matched) == (10, 9)
    assert identities.persistent(4) == {CAR + 1: CAR + 5}
    assert identities.persistent(3) == {CAR + 1: CAR + 5, CAR + 2: CAR + 7}
    assert identities.persistent(5) == {}


def test_a_frame_without_things_counts_nothing():
    identities = Identities()
    identities.add(picture(), picture((CAR + 1, LEFT)))
    assert (identities.things, identities.switches, identities.carried) == (0, 0, {})


def test_an_id_that_went_from_one_thing_to_another_persists_for_one_of_them():
    identities = Identities()
    for left, right in [(5, 6), (5, 6), (5, 6), (9, 5), (9, 5)]:
        truth = picture((CAR + 1, LEFT), (CAR + 2, RIGHT))
        identities.add(truth, picture((CAR + left, LEFT), (CAR + right, RIGHT)))
    assert identities.persistent(2) == {CAR + 1: CAR + 5, CAR + 2: CAR + 6}
    identities = Identities()
    identities.add(picture((CAR + 1, LEFT)), picture((CAR + 5, LEFT)))
    identities.add(picture((CAR + 2, LEFT)), picture((CAR + 5, LEFT)))
    identities.add(picture((CAR + 2, LEFT)), picture((CAR + 5, LEFT)))
    assert identities.persistent(1) == {CAR + 2: CAR + 5}
