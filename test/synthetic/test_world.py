"""Sequences of the procedural world: the same whenever and wherever asked for, nothing in or through anything else."""

from functools import lru_cache

import numpy as np
import pytest

pytest.importorskip("embreex")

from mapt_ros.data.labels import decode_labels
from mapt_ros.errors import InputError
from mapt_ros.synthetic.difficulty import difficulty, outline
from mapt_ros.synthetic.scenarios import SCENARIOS
from mapt_ros.synthetic.world import World


@lru_cache
def world(scenario: str, seed: int = 1) -> World:
    return World(scenario, seed, frames=12, height=48, width=160, rate_hz=4)


def test_frames_are_the_same_in_any_order_and_in_another_world_of_the_seed():
    first, again = world("mixed"), World("mixed", 1, frames=12, height=48, width=160, rate_hz=4)
    for index in (7, 2):
        np.testing.assert_array_equal(first[2].labels if index == 2 else first[7].labels, again[index].labels)
        np.testing.assert_array_equal(first[index].image, again[index].image)


def test_other_seeds_and_scenarios_give_other_worlds():
    images = [world("mixed")[0].image, world("mixed", 2)[0].image, world("crowd")[0].image]
    assert not any(np.array_equal(a, b) for a, b in zip(images, images[1:] + images[:1], strict=True))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_bodies_move_smoothly_and_point_where_they_go(scenario):
    for mover in world(scenario).movers:
        motion = mover.motion
        steps = np.diff(motion.places, axis=0)
        distance = np.linalg.norm(steps, axis=1)
        assert distance.max() < (4.0 if mover.walks else 22.0) / 12  # steps a second
        turns = np.abs(np.diff(np.unwrap(motion.yaws)))
        assert turns.max() < (0.9 if mover.walks else 0.4)
        far = distance > 0.13
        heading = np.arctan2(steps[far, 1], steps[far, 0])
        middle = motion.yaws[:-1][far] + 0.5 * np.diff(np.unwrap(motion.yaws))[far]
        assert np.all(np.cos(heading - middle) > 0.8)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nobody_is_in_the_same_place_as_somebody_else(scenario):
    movers = world(scenario).movers
    places = np.array([mover.motion.places for mover in movers])
    people = np.array([mover.walks for mover in movers])
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    distance[np.arange(len(movers)), np.arange(len(movers))] = np.inf
    widths = np.array([0.0 if mover.walks else mover.body.width for mover in movers])
    abreast = ((widths[:, None] + widths[None]) / 2)[..., None]
    both_vehicles = ~people[:, None] & ~people[None]
    assert np.all((distance > abreast)[both_vehicles])
    assert distance[~both_vehicles].min(initial=9) > 0.5


def test_only_cars_and_people_have_track_ids_and_an_id_is_one_body():
    frames = [world("mixed")[i] for i in (0, 5, 11)]
    owners: dict[int, int] = {}
    for frame in frames:
        class_ids, track_ids = decode_labels(frame.labels)
        things = np.isin(class_ids, (11, 13))
        assert np.array_equal(things, track_ids > 0)
        for track_id in np.unique(track_ids[things]):
            classes = np.unique(class_ids[track_ids == track_id])
            assert len(classes) == 1
            assert owners.setdefault(int(track_id), int(classes[0])) == classes[0]
            assert world("mixed").movers[track_id - 1].walks == (classes[0] == 11)


def test_in_lookalikes_most_cars_and_most_people_are_alike():
    movers = world("lookalikes").movers
    cars = [m.body.length for m in movers if not m.walks]
    people = [m.body.height for m in movers if m.walks]
    for sizes in (cars, people):
        assert len(sizes) > 3 and max(map(sizes.count, sizes)) > 0.6 * len(sizes)


def test_an_unhidden_body_covers_as_many_pixels_as_its_outline():
    sequence = world("mixed")
    covered = []
    for index in (0, 5, 11):
        track_ids = decode_labels(sequence[index].labels)[1]
        for piece in sequence.things(index):
            visible = int((track_ids == piece.track_id).sum())
            whole = outline(piece.mesh, sequence.camera, sequence.camera_pose(index))
            assert visible <= whole + 1
            covered.append(visible == whole > 0)
    assert any(covered)


def test_mixed_is_hard_enough_to_mean_something():
    worlds = (World("mixed", seed, frames=40, height=96, width=320) for seed in range(110, 114))
    measured = difficulty(worlds)
    assert measured.tracks_per_frame >= 6
    assert measured.occluded >= 0.25
    assert measured.returning >= 0.1
    assert measured.median_height <= 60 / 2  # at half of 192x640
    assert 0.2 <= measured.persons <= 0.6


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"scenario": "rush-hour"}, "scenario: there is no 'rush-hour', only mixed"),
        ({"seed": -1}, "seed: must not be negative"),
        ({"frames": 0}, "frames: must be at least 1"),
        ({"height": 16}, "size: must be at least 32x32"),
        ({"rate_hz": 0}, "rate_hz: must be above 0"),
    ],
)
def test_bad_numbers_are_told_in_one_line(arguments, complaint):
    with pytest.raises(InputError, match=complaint):
        World(**arguments)
