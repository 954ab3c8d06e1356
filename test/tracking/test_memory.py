"""The life of a track: birth, confirmation, loss, revival, death."""

import numpy as np
import pytest

from mapt_ros.tracking.association import Match
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.frame import Association, TrackState
from mapt_ros.tracking.memory import MAX_TRACKS, Observation, update
from mapt_ros.tracking.panoptic import Region

CONFIG = TrackerConfig(max_age=3, confirm_after=2, embedding_momentum=0.5)
SECOND = 1_000_000_000


def seen_at(x: float, embedding=(1.0, 0.0)) -> Observation:
    return Observation(13, 0.9, np.array(embedding), Region((0, 0, 10, 5), 40, x, 2.5))


def match(track: int, detection: int) -> Match:
    return Match(track, detection, Association.MOTION, 0.7)


def life(*frames: bool, config: TrackerConfig = CONFIG):
    """One thing that is seen or not in each frame, matched whenever it can be; the tracks after every frame."""
    tracks, next_id, history = [], 1, []
    for index, visible in enumerate(frames):
        observations = [seen_at(10.0 * index)] if visible else []
        matches = [match(0, 0)] if visible and tracks else []
        outcome = update(tracks, observations, matches, next_id, index * SECOND, config)
        tracks, next_id = outcome.tracks, outcome.next_id
        history.append([t.instance for t in tracks])
    return history


def test_a_track_is_born_tentative_and_confirmed_by_its_second_sighting():
    (first,), (second,) = life(True, True)
    assert (first.track_id, first.state, first.age, first.association) == (1, TrackState.TENTATIVE, 1, Association.NEW)
    assert first.association_score == 0.9
    assert (second.track_id, second.state, second.age, second.association) == (
        1,
        TrackState.CONFIRMED,
        2,
        Association.MOTION,
    )
    assert second.association_score == 0.7
    assert life(True, config=CONFIG.model_copy(update={"confirm_after": 1}))[0][0].state == TrackState.CONFIRMED


def test_a_tentative_track_dies_at_its_first_miss_and_its_id_is_not_given_again():
    born, gone, again = life(True, False, True)
    assert gone == [] and again[0].track_id == 2 and born[0].track_id == 1


def test_a_lost_track_ages_without_any_detection_and_dies_after_max_age():
    history = life(True, True, False, False, False, False)
    lost = [h[0] for h in history[2:5]]
    assert [t.state for t in lost] == [TrackState.LOST] * 3
    assert [t.frames_since_seen for t in lost] == [1, 2, 3]
    assert [t.age for t in lost] == [3, 4, 5]
    assert all(t.area == 0 for t in lost)
    assert history[5] == []


def test_a_lost_track_is_revived_as_confirmed_with_its_old_id():
    back = life(True, True, False, False, True)[-1][0]
    assert (back.track_id, back.state, back.frames_since_seen, back.age) == (1, TrackState.CONFIRMED, 0, 5)


def test_velocity_is_in_pixels_per_second_and_spans_the_gap():
    history = life(True, True, False, True)
    assert history[1][0].vx == pytest.approx(10.0) and history[1][0].vy == 0
    assert history[3][0].vx == pytest.approx(10.0)


def test_a_first_velocity_is_not_mixed_with_the_unknown_one_before():
    config = CONFIG.model_copy(update={"confirm_after": 1})
    after_gap = life(True, False, True, config=config)[-1][0]
    assert (after_gap.track_id, after_gap.vx) == (1, pytest.approx(10.0))
    first = update([], [seen_at(0)], [], 1, None, config)
    second = update(first.tracks, [seen_at(5)], [match(0, 0)], 2, 0, config)
    third = update(second.tracks, [seen_at(15)], [match(0, 0)], 2, SECOND, config)
    assert third.tracks[0].instance.vx == pytest.approx(10.0)


def test_without_stamps_there_is_no_velocity():
    first = update([], [seen_at(0)], [], 1, None, CONFIG)
    second = update(first.tracks, [seen_at(30)], [match(0, 0)], first.next_id, None, CONFIG)
    assert second.tracks[0].instance.vx == 0


def test_the_embedding_moves_towards_what_is_seen_and_stays_a_unit_vector():
    first = update([], [seen_at(0, (1.0, 0.0))], [], 1, None, CONFIG)
    second = update(first.tracks, [seen_at(0, (0.0, 1.0))], [match(0, 0)], 2, None, CONFIG)
    np.testing.assert_allclose(second.tracks[0].embedding, [np.sqrt(0.5)] * 2)


def test_where_each_mask_comes_from():
    tracks = update([], [seen_at(0), seen_at(50)], [], 1, None, CONFIG.model_copy(update={"confirm_after": 1}))
    outcome = update(tracks.tracks, [seen_at(90), seen_at(51)], [match(1, 1)], tracks.next_id, None, CONFIG)
    assert [(t.instance.track_id, s) for t, s in zip(outcome.tracks, outcome.source)] == [
        (1, ("carried", 0)),
        (2, ("seen", 1)),
        (3, ("seen", 0)),
    ]
    assert outcome.next_id == 4


def test_a_crowd_of_lost_tracks_stays_bounded_and_the_first_lost_die_first():
    tracks, next_id = [], 1
    config = CONFIG.model_copy(update={"max_age": 100_000, "confirm_after": 1})
    for index in range(4):  # 400 new things a frame, none of them seen again
        outcome = update(tracks, [seen_at(float(i)) for i in range(400)], [], next_id, index * SECOND, config)
        tracks, next_id = outcome.tracks, outcome.next_id
    assert len(tracks) == len(outcome.source) == MAX_TRACKS
    ages = [track.instance.frames_since_seen for track in tracks]
    assert [ages.count(absent) for absent in range(4)] == [400, 400, 200, 0]
    assert outcome.source[-1] == ("seen", 399)
