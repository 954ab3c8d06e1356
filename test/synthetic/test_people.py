"""People stand on the ground, walk in step with the way they go, and are of all sizes."""

import numpy as np
import pytest

from mapt_ros.synthetic.figure import CHEST, FOREARM, SHIN, THIGH, dressed
from mapt_ros.synthetic.mesh import pose
from mapt_ros.synthetic.people import person

SEEDS = range(8)


def body_at(somebody, travelled, speed):
    (piece,) = somebody.pieces(np.eye(4), 3, travelled, speed)
    return piece


def moved_by(somebody, bone, first, second):
    rig = somebody.body.rig
    mine = np.where(rig.weights > 0.5, rig.bones[:, 0], rig.bones[:, 1]) == bone
    return np.linalg.norm(first.mesh.vertices[mine] - second.mesh.vertices[mine], axis=1).max()


@pytest.mark.parametrize("seed", SEEDS)
def test_people_have_plausible_sizes_which_their_meshes_keep(seed):
    somebody = person(np.random.default_rng(seed))
    piece = body_at(somebody, 0.0, 0.0)
    low, high = piece.mesh.vertices.min(axis=0), piece.mesh.vertices.max(axis=0)
    assert (piece.class_id, piece.track_id) == (11, 3)
    assert 0.9 < somebody.height < 2.05
    assert high[2] - low[2] == pytest.approx(somebody.height, abs=0.06)
    assert 0.18 < high[1] - low[1] < 0.85
    assert len(piece.mesh.faces) <= 900


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("speed", [0.0, 1.3, 3.2])
def test_the_lower_foot_is_always_near_the_ground(seed, speed):
    somebody = person(np.random.default_rng(seed))
    for travelled in np.linspace(0, somebody.stride, 9):
        assert abs(body_at(somebody, travelled, speed).mesh.vertices[:, 2].min()) < 0.03


def test_walking_swings_arms_and_legs_once_a_stride():
    somebody = person(np.random.default_rng(1))
    at = [body_at(somebody, share * somebody.stride, 1.4) for share in (0.0, 0.25, 0.5, 1.0)]
    for bone in (THIGH, SHIN, FOREARM):
        assert max(moved_by(somebody, bone, at[0], other) for other in at[1:3]) > 0.08
    np.testing.assert_allclose(at[0].mesh.vertices, at[3].mesh.vertices, atol=1e-4)
    assert moved_by(somebody, CHEST, at[0], at[2]) < 0.2


def test_legs_take_turns_and_knees_bend_backwards():
    somebody = person(np.random.default_rng(2))
    postures = np.array([somebody.posture(t, 1.4) for t in np.linspace(0, somebody.stride, 16, endpoint=False)])
    left, right = postures[:, THIGH, 1], postures[:, THIGH + 3, 1]
    assert np.corrcoef(left, right)[0, 1] < -0.95
    np.testing.assert_allclose(np.roll(left, 8), right, atol=1e-6)
    assert postures[:, SHIN, 1].max() < 0
    assert postures[:, SHIN, 1].min() < -0.6


def test_somebody_who_stands_does_not_move():
    somebody = person(np.random.default_rng(3))
    np.testing.assert_array_equal(body_at(somebody, 0.0, 0.0).mesh.vertices, body_at(somebody, 0.4, 0.0).mesh.vertices)


def test_faces_wind_outward_in_every_posture():
    for seed in SEEDS:
        mesh = body_at(person(np.random.default_rng(seed)), 0.3, 1.4).mesh
        a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(np.float64) for i in range(3))
        volume = (a * np.cross(b, c)).sum() / 6  # all parts are closed
        assert 0.015 < volume < 0.25


def test_the_place_moves_the_whole_body():
    somebody = person(np.random.default_rng(4))
    place = pose(4, -2, 0.12, 1.0)
    here, there = body_at(somebody, 0.3, 1.2), somebody.pieces(place, 3, 0.3, 1.2)[0]
    expected = here.mesh.vertices @ place[:3, :3].T + place[:3, 3]
    np.testing.assert_allclose(there.mesh.vertices, expected, atol=1e-4)


def test_a_seed_gives_the_same_person_and_the_street_is_mixed():
    one, same = (body_at(person(np.random.default_rng(5)), 0.2, 1.0) for _ in range(2))
    np.testing.assert_array_equal(one.mesh.vertices, same.mesh.vertices)
    assert one.mesh.materials == same.mesh.materials
    heights = [dressed(np.random.default_rng(seed)).height for seed in range(60)]
    assert min(heights) < 1.45 and max(heights) > 1.82
