"""Cars, trucks, buses, cycles: sizes, classes, lamps, wheels, and that they are the same for the same seed."""

import numpy as np
import pytest
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from mapt_ros.synthetic.cars import KINDS, car
from mapt_ros.synthetic.cycles import bicycle, motorcycle, rider
from mapt_ros.synthetic.heavy_vehicles import TRUCK_KINDS, bus, truck
from mapt_ros.synthetic.mesh import joined, pose
from mapt_ros.synthetic.vehicle import BRAKE_LAMP, LEFT_INDICATOR, RIGHT_INDICATOR, paint

# name: how to build it, class id, triangles at most, ranges of length, width and height in metres
BODIES = {
    **{kind: (lambda rng, kind=kind: car(rng, kind), 13, 3000, (3.5, 5.3), (1.6, 2.0), (1.38, 2.1)) for kind in KINDS},
    **{
        kind: (lambda rng, kind=kind: truck(rng, kind), 14, 3300, (5.2, 16.5), (1.9, 2.55), (2.1, 4.05))
        for kind in TRUCK_KINDS
    },
    "bus": (bus, 15, 3000, (10, 12.5), (2.4, 2.56), (2.9, 3.7)),
    "motorcycle": (motorcycle, 17, 1800, (1.6, 2.3), (0.7, 0.9), (1.0, 1.4)),
    "bicycle": (bicycle, 18, 1500, (1.6, 1.95), (0.5, 0.7), (0.9, 1.2)),
}
UPRIGHT = np.eye(4)


def whole(body, **state):
    return joined([piece.mesh for piece in body.pieces(UPRIGHT, 5, **state)])


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_vehicles_have_plausible_sizes_which_their_meshes_keep(name, seed):
    build, class_id, triangles, *ranges = BODIES[name]
    body = build(np.random.default_rng(seed))
    mesh = whole(body)
    assert body.class_id == class_id
    assert len(mesh.faces) <= triangles
    assert np.isfinite(mesh.vertices).all()
    for size, (low, high) in zip((body.length, body.width, body.height), ranges, strict=True):
        assert low <= size <= high
    extent = np.ptp(mesh.vertices, axis=0)
    assert body.length - 0.05 <= extent[0] <= body.length + 0.3  # plates, bars and mirrors stand out a little
    assert body.width - 0.1 <= extent[1] <= body.width + 0.5  # with its mirrors
    assert body.height - 0.06 <= extent[2] <= body.height + 0.1
    assert abs(mesh.vertices[:, 2].min()) < 0.02  # stands on the ground
    middle = 0.5 * (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0))
    np.testing.assert_allclose(middle[:2], 0, atol=0.15)


@pytest.mark.parametrize("name", [name for name in BODIES if name not in ("bicycle", "motorcycle")])
def test_from_outside_one_sees_the_outer_sides_of_faces(name):
    mesh = whole(BODIES[name][0](np.random.default_rng(3)))
    scene = EmbreeScene()
    geometry = TriangleMesh(scene, mesh.vertices, mesh.faces)
    rng = np.random.default_rng(0)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    targets = rng.uniform(low, high, (4000, 3)).astype(np.float32)
    turn, rise = rng.uniform(0, 2 * np.pi, 4000), rng.uniform(0.0, 0.5, 4000)
    outward = np.stack([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)], 1).astype(np.float32)
    face = scene.run(targets + 30 * outward, -outward)
    seen = face >= 0
    assert geometry is not None
    assert seen.mean() > 0.5
    a, b, c = (mesh.vertices[mesh.faces[face[seen], i]] for i in range(3))
    towards = (np.cross(b - a, c - a) * outward[seen]).sum(axis=1)
    assert (towards < 0).mean() < 0.02  # what remains is the inside of the far wheel arches


@pytest.mark.parametrize("name", ["saloon", "box", "bus", "motorcycle"])
def test_braking_and_indicating_light_their_lamps_only(name):
    body = BODIES[name][0](np.random.default_rng(2))

    def emissions(**state):
        (piece,) = body.pieces(UPRIGHT, 1, **state)
        return dict(zip(body.rig.mesh.materials, (m.emission for m in piece.mesh.materials), strict=True))

    dark = emissions()
    for state, lamps in (
        ({"braking": True}, {BRAKE_LAMP}),
        ({"indicator": 1}, {LEFT_INDICATOR}),
        ({"indicator": -1}, {RIGHT_INDICATOR}),
    ):
        lit = emissions(**state)
        assert {m for m in lit if lit[m] > dark[m]} == lamps
        assert all(lit[m] == dark[m] for m in lit if m not in lamps)
    left = body.rig.mesh.materials.index(LEFT_INDICATOR)
    corners = body.rig.mesh.faces[body.rig.mesh.face_materials == left]
    assert body.rig.mesh.vertices[corners, 1].min() > 0


def test_wheels_roll_with_the_way_and_front_ones_steer():
    body = car(np.random.default_rng(4), "hatchback")
    rest, rolled, once = (whole(body, travelled=t) for t in (0.0, 0.3, 2 * np.pi * body.wheels[0].radius))
    wheels = body.rig.bones[:, 0] > 0
    moved = np.linalg.norm(rolled.vertices - rest.vertices, axis=1)
    assert moved[~wheels].max() < 1e-6
    assert moved[wheels].max() > 0.25
    np.testing.assert_allclose(once.vertices, rest.vertices, atol=1e-4)
    top = np.argmax(np.where(wheels, rest.vertices[:, 2], -1))
    assert rolled.vertices[top, 0] > rest.vertices[top, 0]  # forwards
    steered = np.linalg.norm(whole(body, steering=0.3).vertices - rest.vertices, axis=1) > 1e-4
    assert rest.vertices[steered, 0].min() > 0.5
    assert steered[rest.vertices[:, 1] < 0].any() and steered[rest.vertices[:, 1] > 0].any()


def test_a_pose_moves_the_vehicle_and_its_textures_go_along():
    body = car(np.random.default_rng(5))
    here, there = whole(body), body.pieces(pose(10, 2, 0, 0.5), 7)[0]
    expected = here.vertices @ pose(10, 2, 0, 0.5)[:3, :3].T + (10, 2, 0)
    np.testing.assert_allclose(there.mesh.vertices, expected, atol=1e-4)
    np.testing.assert_array_equal(there.mesh.rest, body.rig.mesh.rest)


def test_only_cars_keep_their_track_id():
    rng = np.random.default_rng(6)
    assert [p.track_id for p in car(rng).pieces(UPRIGHT, 9)] == [9]
    for body in (truck(rng), bus(rng), bicycle(rng), motorcycle(rng), rider(rng, "bicycle"), rider(rng, "motorcycle")):
        assert {p.track_id for p in body.pieces(UPRIGHT, 9)} == {0}


@pytest.mark.parametrize(("kind", "classes"), [("bicycle", [18, 12]), ("motorcycle", [17, 12])])
def test_riders_sit_on_their_cycles_and_hold_the_bar(kind, classes):
    for seed in range(4):
        body = rider(np.random.default_rng(seed), kind)
        pieces = body.pieces(UPRIGHT, 0, travelled=1.0)
        assert [p.class_id for p in pieces] == classes
        cycle, person = (p.mesh.vertices for p in pieces)
        assert person[:, 2].min() > 0.0
        assert 1.2 < person[:, 2].max() < 2.2
        assert person[:, 2].max() == pytest.approx(body.height, abs=0.12)
        bar = cycle[np.abs(cycle[:, 1]) > 0.24].mean(axis=0)
        reach = person[np.abs(person[:, 1]) > 0.12]
        assert np.linalg.norm(reach[:, [0, 2]] - bar[[0, 2]], axis=1).min() < 0.25


def test_cyclists_pedal_one_leg_up_while_the_other_goes_down():
    body = rider(np.random.default_rng(1), "bicycle")

    def feet(travelled):
        person = body.pieces(UPRIGHT, 0, travelled=travelled)[1].mesh.vertices
        return person[person[:, 1] > 0.02, 2].min(), person[person[:, 1] < -0.02, 2].min()

    heights = np.array([feet(t) for t in np.linspace(0, 4.5, 9)[:-1]])
    assert np.ptp(heights, axis=0).min() > 0.2
    assert np.corrcoef(heights.T)[0, 1] < -0.7
    np.testing.assert_allclose(feet(0.0), feet(4.5), atol=1e-3)


@pytest.mark.parametrize("build", [car, truck, bus, bicycle, motorcycle, rider])
def test_a_seed_gives_the_same_body_and_another_seed_another(build):
    one, same, other = (whole(build(np.random.default_rng(seed))) for seed in (8, 8, 9))
    np.testing.assert_array_equal(one.vertices, same.vertices)
    assert one.materials == same.materials
    assert one.vertices.shape != other.vertices.shape or np.abs(one.vertices - other.vertices).max() > 0.01


def test_paints_are_as_frequent_as_on_the_road():
    colors = np.array([paint(np.random.default_rng(seed)).color for seed in range(400)])
    dark = (colors.max(axis=1) < 0.035).mean()
    white = (colors.min(axis=1) > 0.5).mean()
    red = (colors[:, 0] > 4 * colors[:, 1]).mean()
    assert 0.2 < dark < 0.36
    assert 0.12 < white < 0.25
    assert 0.02 < red < 0.12
