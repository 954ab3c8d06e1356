"""The synthetic scene: exact, repeatable ground truth with real tracking problems in it."""

from functools import cache
from itertools import permutations

import numpy as np
import pytest

from mapt_ros.data.labels import KITTI_STEP, decode_labels
from mapt_ros.errors import InputError
from mapt_ros.synthetic.bodies import Person
from mapt_ros.synthetic.scene import CAR_CLASS, MIN_VISIBLE_PIXELS, PERSON_CLASS, DrivingScene

SEEDS = (0, 3, 6)


@cache
def decoded(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Class ids and track ids of a whole scene, both FxHxW."""
    scene = DrivingScene(seed)
    frames = [decode_labels(scene[i].labels) for i in range(len(scene))]
    return np.stack([c for c, _ in frames]), np.stack([t for _, t in frames])


def areas(seed: int) -> dict[int, np.ndarray]:
    """Per track id, its visible pixels in each frame."""
    _, tracks = decoded(seed)
    return {int(t): (tracks == t).sum(axis=(1, 2)) for t in np.unique(tracks) if t > 0}


def test_same_seed_gives_same_bytes_in_any_order():
    first, second = DrivingScene(5, frames=12), DrivingScene(5, frames=12)
    for i in (11, 0, 7):
        assert np.array_equal(first[i].image, second[i].image)
        assert np.array_equal(first[i].labels, second[i].labels)
    forwards = [second[i].image for i in range(12)]
    assert np.array_equal(first[7].image, forwards[7])
    assert not np.array_equal(DrivingScene(6, frames=12)[7].image, forwards[7])


def test_is_a_sequence_of_frames_of_the_asked_size():
    scene = DrivingScene(1, height=96, width=320, frames=3)
    assert len(scene) == 3
    frames = list(scene)
    assert len(frames) == 3
    assert all(f.image.shape == (96, 320, 3) and f.image.dtype == np.uint8 for f in frames)
    assert all(f.labels.shape == (96, 320) and f.labels.dtype == np.int32 for f in frames)
    assert np.array_equal(scene[-1].labels, frames[2].labels)
    with pytest.raises(IndexError):
        scene[3]


@pytest.mark.parametrize("seed", SEEDS)
def test_things_have_ids_and_stuff_has_none_and_nothing_is_void(seed):
    classes, tracks = decoded(seed)
    assert set(np.unique(classes)) <= set(KITTI_STEP.by_id)
    is_thing = np.isin(classes, (PERSON_CLASS, CAR_CLASS))
    assert np.array_equal(is_thing, tracks > 0)
    assert {0, 1, 2, 8, 10} <= set(np.unique(classes)), (
        "road, sidewalk, building, vegetation and sky belong to the street"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_an_id_is_one_thing_for_the_whole_scene(seed):
    classes, tracks = decoded(seed)
    scene = DrivingScene(seed)
    assert 4 <= len(scene.things) <= 8
    assert [t.track_id for t in scene.things] == list(range(1, len(scene.things) + 1))
    of = {t.track_id: t.class_id for t in scene.things}
    for track_id in areas(seed):
        assert np.unique(classes[tracks == track_id]).tolist() == [of[track_id]]


@pytest.mark.parametrize("seed", SEEDS)
def test_things_move_on_smoothly(seed):
    _, tracks = decoded(seed)
    steps = []
    for track_id in areas(seed):
        # The median column hardly follows the legs; occlusion may make it jump, so most steps count, not all.
        columns = [
            np.median(np.nonzero(frame == track_id)[1]) if (frame == track_id).any() else np.nan for frame in tracks
        ]
        steps.append(np.abs(np.diff(columns)))
    steps = np.concatenate(steps)
    steps = steps[~np.isnan(steps)]
    assert np.quantile(steps, 0.9) < 16
    assert np.median(steps) > 0.2, "the scene moves"


def test_no_thing_is_labelled_with_fewer_pixels_than_can_be_seen():
    for seed in SEEDS:
        for visible in areas(seed).values():
            assert not ((visible > 0) & (visible < MIN_VISIBLE_PIXELS)).any()


def test_every_scene_has_tracks_long_enough_to_follow():
    for seed in range(3, 8):
        scene = DrivingScene(seed)
        _, tracks = decoded(seed) if seed in SEEDS else (None, np.stack([decode_labels(f.labels)[1] for f in scene]))
        lasting = [t for t in np.unique(tracks) if t > 0 and ((tracks == t).any(axis=(1, 2))).sum() >= 10]
        assert len(lasting) >= 2, f"seed {seed}"


def test_things_enter_and_leave_and_come_back_from_behind_others():
    entered = left = returned = 0
    for seed in SEEDS:
        for visible in areas(seed).values():
            entered += visible[0] == 0
            left += visible[-1] == 0
            appearances = (np.diff((visible > 0).astype(int)) == 1).sum() + (visible[0] > 0)
            returned += appearances > 1
    assert entered >= 2
    assert left >= 2
    assert returned >= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_things_meet_in_every_scene(seed):
    _, tracks = decoded(seed)
    beside = (tracks[:, :, 1:] > 0) & (tracks[:, :, :-1] > 0) & (tracks[:, :, 1:] != tracks[:, :, :-1])
    assert beside.any(axis=(1, 2)).sum() >= 10, "frames in which one thing is seen right before another"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_nearer_thing_hides_the_farther_one(seed):
    """Where both would own a pixel alone, the one standing nearer owns it in the scene."""
    scene = DrivingScene(seed)
    checked = 0
    for i in range(0, len(scene), 8):
        together = decode_labels(scene[i].labels)[1]
        depth = {t.track_id: float(t.path.position(i)[1]) for t in scene.things}
        alone = {t.track_id: decode_labels(scene._draw(i, [t])[0].labels)[1] > 0 for t in scene.things}
        for near, far in permutations(depth, 2):
            both = alone[near] & alone[far]
            if depth[near] < depth[far] and both.any() and (together == near).any():
                checked += 1
                # A pixel on the edge is shared by samples of several bodies.
                assert (together[both] == far).mean() <= 0.05
    assert checked, "the scene has things that pass before each other"


def test_image_shows_a_thing_where_its_labels_are():
    """Taking one thing out changes the picture where it is labelled, and beyond its edge only by its shadow."""
    scene = DrivingScene(0)
    i = 10
    things = list(scene.things)
    full, _ = scene._draw(i, things)
    ids = decode_labels(full.labels)[1]
    for thing in things:
        mine = ids == thing.track_id
        if mine.sum() < 60:
            continue
        without, _ = scene._draw(i, [t for t in things if t is not thing])
        changed = np.abs(full.image.astype(int) - without.image.astype(int)).max(axis=-1) > 12
        assert changed[mine].mean() > 0.7
        others = (ids > 0) & ~mine
        assert not others.any() or changed[others].mean() < 0.1


def test_feet_stand_where_the_intrinsics_say():
    checked = 0
    for seed in SEEDS:
        scene = DrivingScene(seed)
        _, tracks = decoded(seed)
        for thing in scene.things:
            if not isinstance(thing.body, Person):
                continue
            for i in range(0, len(scene), 5):
                z = float(thing.path.position(i)[1])
                row = scene.cy + scene.fy * scene.camera_height / z
                rows = np.nonzero((tracks[i] == thing.track_id).any(axis=1))[0]
                alone, _ = scene._draw(i, [thing])
                whole = (alone.labels == alone.labels.max()).sum()
                if rows.size and (tracks[i] == thing.track_id).sum() == whole and row < 120:
                    assert abs(rows.max() - row) < 8, "the view nods by a few pixels, no more"
                    checked += 1
    assert checked > 10


@pytest.mark.parametrize("bad", [{"height": 8}, {"width": 10}, {"frames": 0}])
def test_a_useless_size_is_one_clear_line(bad):
    with pytest.raises(InputError, match="needs at least 1 frame of 32x64"):
        DrivingScene(0, **bad)
