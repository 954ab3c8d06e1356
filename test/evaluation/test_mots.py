"""Things are matched, switched, interrupted and ignored as CLEAR-MOTS says, and HOTA settles doubt with hindsight."""

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.evaluation.mots import ThingScores, ThingTracking

ROAD, CAR, PERSON, VOID = 0, 3 * LABEL_DIVISOR, 7 * LABEL_DIVISOR, -1


def row(*runs: tuple[int, int]) -> np.ndarray:
    """A label map of one row from (label, pixels)."""
    return np.concatenate([np.full(length, label, np.int32) for label, length in runs])[None]


def tracked(classes, *frames: tuple[np.ndarray, np.ndarray]) -> ThingTracking:
    metric = ThingTracking(classes)
    for truth, predicted in frames:
        metric.add("0000", truth, predicted)
    return metric


def cars(metric: ThingTracking) -> ThingScores:
    return metric.per_class()[1]


def carried(classes, ids: list[int]) -> ThingScores:
    """A car of 4 pixels, predicted perfectly under these ids; 0: predicted as road."""
    road = (ROAD, 4)
    truth = row((CAR + 1, 4), road)
    return cars(tracked(classes, *((truth, row((CAR + i, 4) if i else road, road)) for i in ids)))


@pytest.mark.parametrize(
    ("ids", "switches", "fragmentations", "motsa", "idf1"),
    [
        ([5, 5, 5, 5], 0, 0, 1, 1),
        ([5, 5, 6, 6], 1, 0, 0.75, 0.5),
        ([5, 6, 5, 6], 3, 0, 0.25, 0.5),
        ([0, 0, 0, 0], 0, 0, 0, 0),
        ([0, 5, 5, 0], 0, 0, 0.5, 2 / 3),
    ],
)
def test_switches_and_misses_of_one_thing(classes, ids, switches, fragmentations, motsa, idf1):
    scores = carried(classes, ids)
    assert (scores.ids, scores.fragmentations) == (switches, fragmentations)
    assert (scores.motsa, scores.smotsa, scores.idf1) == pytest.approx((motsa, motsa, idf1))


def test_a_switch_is_told_however_long_ago_the_thing_was_last_matched(classes):
    assert carried(classes, [5, 0, 0, 6]).ids == 1
    assert carried(classes, [5, 0, 0, 5]).ids == 0


def test_a_thing_found_again_is_fragmented_if_others_were_tracked_meanwhile(classes):
    one, both = (CAR + 1, 4), row((CAR + 1, 4), (CAR + 2, 4))
    missed = row((ROAD, 4), (CAR + 2, 4))
    assert cars(tracked(classes, (both, both), (both, missed), (both, both))).fragmentations == 1
    # In TrackEval a frame in which the class has no prediction at all interrupts nothing.
    nothing = row((ROAD, 8))
    assert cars(tracked(classes, (both, both), (both, nothing), (both, both))).fragmentations == 0
    alone = row(one, (ROAD, 4))
    assert cars(tracked(classes, (alone, alone), (alone, nothing), (alone, alone))).fragmentations == 0


def test_perfect_tracking_of_two_classes_scores_one(classes):
    frame = row((CAR + 1, 4), (PERSON + 1, 4), (ROAD, 4))
    means = tracked(classes, (frame, frame), (frame, frame)).means()
    assert means == ThingScores(1.0, 1.0, 1.0, pytest.approx(1.0), 1.0, 1.0, 0, 0)


def test_hota_of_a_thing_split_between_two_tracks(classes):
    # Two frames each: association 2 / (4 + 2 - 2) = 1 / 2, detection 1.
    scores = carried(classes, [5, 5, 6, 6])
    assert (scores.deta, scores.assa, scores.hota) == pytest.approx((1, 0.5, 0.5**0.5))


def test_hota_counts_a_poor_mask_only_for_the_thresholds_that_it_reaches(classes):
    # IoU 0.4: a match for 8 of the 19 thresholds, none for CLEAR-MOTS.
    scores = cars(tracked(classes, (row((CAR + 1, 10)), row((CAR + 5, 4), (ROAD, 6)))))
    assert scores.hota == pytest.approx(8 / 19)
    assert scores.motsa == -1.0


def test_hota_gives_a_contested_thing_to_the_track_that_fits_the_whole_sequence(classes):
    # Track 5 has the car all the time; in the first frame track 6 covers slightly more of it.
    truth = row((CAR + 1, 10))
    first = truth, row((CAR + 6, 5), (CAR + 5, 4), (ROAD, 1))
    later = truth, truth - 1 + 5
    scores = cars(tracked(classes, first, later, later, later))
    # All four frames with track 5 for thresholds up to 0.4, three of 4 + 4 - 3 above, with track 6 as a false positive.
    deta = np.where(np.arange(19) < 8, 4 / 5, 3 / (3 + 1 + 2))
    assa = np.where(np.arange(19) < 8, 1, 3 / (4 + 4 - 3))
    assert scores.hota == pytest.approx(np.sqrt(deta * assa).mean())


def test_half_is_a_match_and_of_two_halves_the_one_that_goes_on(classes):
    truth = row((CAR + 1, 4))
    halves = row((CAR + 5, 2), (CAR + 6, 2))
    for first in (5, 6):
        scores = cars(tracked(classes, (truth, truth - 1 + first), (truth, halves)))
        assert (scores.ids, scores.motsa, scores.smotsa) == (0, 0.5, 0.25)


def test_unmatched_predictions_mostly_in_void_or_crowd_do_not_count(classes):
    for ignored in (VOID, CAR, PERSON):  # the crowd of other classes too
        truth = row((ignored, 8), (CAR + 1, 4), (ROAD, 4))
        hidden = row((CAR + 9, 6), (ROAD, 2), (CAR + 1, 4), (ROAD, 4))
        assert cars(tracked(classes, (truth, hidden))).motsa == 1.0
        half = row((ROAD, 6), (CAR + 9, 2), (CAR + 1, 4), (CAR + 8, 4))
        assert cars(tracked(classes, (truth, half))).motsa == 0.0  # 8 is on the road, 9 hidden
    # Exactly half hidden counts; so does a matched one, with its hidden pixels.
    assert (
        cars(tracked(classes, (row((VOID, 2), (ROAD, 2), (CAR + 1, 4)), row((CAR + 9, 4), (CAR + 1, 4))))).motsa == 0.0
    )
    matched = cars(tracked(classes, (row((VOID, 4), (CAR + 1, 4)), row((CAR + 5, 8)))))
    assert (matched.motsa, matched.smotsa) == (1.0, 0.5)


def test_classes_are_scored_apart_and_averaged_where_there_is_truth(classes):
    truth = row((CAR + 1, 4), (ROAD, 4))
    metric = tracked(classes, (truth, row((CAR + 1, 4), (PERSON + 1, 4))))
    assert [scores is not None for scores in metric.per_class()] == [False, True, False, False, False, False, False]
    assert metric.means().motsa == 1.0  # the surplus person is no class with ground truth
    assert metric.counts().predicted[3] == 1


def test_without_a_true_thing_there_is_nothing_to_score(classes):
    metric = tracked(classes, (row((ROAD, 4)), row((CAR + 1, 4))))
    assert metric.means() is None
    assert metric.means("0000") is None
    assert ThingTracking(classes).means() is None


def test_sequences_are_apart_and_merging_changes_nothing(classes, random_sequences):
    together, apart = ThingTracking(classes), ThingTracking(classes)
    for name, frames in random_sequences(3).items():
        single = ThingTracking(classes)
        for truth, predicted in frames:
            together.add(name, truth, predicted)
            single.add(name, truth, predicted)
        assert together.means(name) == single.means(name)
        apart.merge(single)
    assert apart.means() == together.means()


def test_scores_asked_for_between_frames_do_not_stick(classes):
    truth = row((CAR + 1, 4))
    metric = tracked(classes, (truth, truth))
    assert metric.means().ids == 0
    metric.add("0000", truth, truth + 1)
    assert metric.means().ids == 1
