"""The static world: what lies on lanes and sidewalks, what closes the view, and that it is the same for the same plan."""

from functools import cache

import numpy as np
import pytest

pytest.importorskip("embreex")

from embreex.mesh_construction import TriangleMesh
from embreex.rtcore import EmbreeDevice
from embreex.rtcore_scene import EmbreeScene

from mapt_ros.synthetic.furniture import railing
from mapt_ros.synthetic.ground import ground
from mapt_ros.synthetic.layout import Layout
from mapt_ros.synthetic.mesh import GAP, Piece
from mapt_ros.synthetic.road import Junction, Road, Town
from mapt_ros.synthetic.scenery import scenery

STYLES = ("urban", "suburb", "avenue", "industrial", "country")
ROAD, SIDEWALK, TERRAIN, VEGETATION = 0, 1, 9, 8


def _line(curvature: np.ndarray) -> np.ndarray:
    heading = np.cumsum(curvature)
    return np.concatenate([[[0.0, 0.0]], np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)])


@cache
def _town(style: str) -> Town:
    """A road with two bends of 25 and 40 m radius, a crossing with lights and a side road to the left."""
    curvature = np.zeros(240)
    curvature[75:100], curvature[170:200] = 1 / 25, -1 / 40
    narrow = style in ("suburb", "country")
    main = Road(
        _line(curvature),
        2 if style == "avenue" else 1,
        3.2,
        (2.1, 0.0),
        (1.6, 0.0) if style == "country" else (1.6, 1.8) if narrow else (3.2, 2.6),
    )
    junctions = []
    for along, left, right, lights in ((45.0, True, True, True), (140.0, True, False, False)):
        x, y, yaw = (float(v) for v in main.at(along))
        reach, across = np.arange(-52.0, 53.0), yaw + np.pi / 2 + 0.1
        points = np.stack([x + reach * np.cos(across), y + reach * np.sin(across)], axis=1)
        junctions.append(Junction(along, Road(points, 1, 3.0, (0.0, 0.0), (1.8, 1.8)), left, right, lights))
    return Town(main, tuple(junctions), style, 7)


@cache
def _pieces(style: str) -> tuple[Piece, ...]:
    return tuple(scenery(_town(style)))


class _Probe:
    """Asks what a ray hits first."""

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        starts = np.cumsum([0] + [len(p.mesh.vertices) for p in pieces[:-1]])
        self._vertices = np.concatenate([p.mesh.vertices for p in pieces]).astype(np.float32)
        faces = np.concatenate([p.mesh.faces + s for p, s in zip(pieces, starts, strict=True)]).astype(np.int32)
        self._classes = np.repeat([p.class_id for p in pieces], [len(p.mesh.faces) for p in pieces])
        self._scene = EmbreeScene(EmbreeDevice())
        self._mesh = TriangleMesh(self._scene, self._vertices, faces)

    def first(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class ids (-1: nothing) and distances."""
        origins = np.ascontiguousarray(origins, dtype=np.float32)
        rays = np.ascontiguousarray(np.broadcast_to(directions, origins.shape), dtype=np.float32)
        answer = self._scene.run(origins, rays, output=1)
        face = answer["primID"]
        return np.where(face >= 0, self._classes[face], -1), answer["tfar"]

    def below(self, x: np.ndarray, y: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
        """Class ids and heights of what lies below places at a height."""
        classes, distance = self.first(np.stack([x, y, np.full_like(x, height)], axis=1), np.array([0.0, 0.0, -1.0]))
        return classes, height - distance


@cache
def _probe(style: str) -> _Probe:
    return _Probe(_pieces(style))


def test_every_stuff_class_of_the_ground_up_occurs():
    found = {piece.class_id for style in STYLES for piece in _pieces(style)}
    assert found == set(range(10))
    assert all(piece.track_id == 0 for style in STYLES for piece in _pieces(style))


@pytest.mark.parametrize("style", STYLES)
def test_lanes_are_free_road_at_ground_level(style):
    town = _town(style)
    for road, low, high in ((town.main, 0, 239), *((j.road, 1 if j.right else 53, 103) for j in town.junctions)):
        along = np.linspace(low, high, 300)
        for lateral in np.linspace(-road.lanes * road.lane_width + 0.1, road.lanes * road.lane_width - 0.1, 7):
            x, y, _ = road.at(along, lateral)
            classes, height = _probe(style).below(x, y, 2.3)
            assert (classes == ROAD).all()
            assert np.abs(height).max() < 0.02


@pytest.mark.parametrize("style", STYLES)
def test_nothing_stands_where_people_walk(style):
    town = _town(style)
    main = town.main
    along = np.linspace(0.0, 239.0, 500)
    apart = np.min([np.abs(along - j.along) for j in town.junctions], axis=0)
    along = along[apart > 14]
    for side in (1, -1):
        width = main.sidewalk[0 if side > 0 else 1]
        if width == 0:
            continue
        for lateral in np.linspace(main.half_width(side) + 0.8, main.frontage(side) - 0.5, 4):
            x, y, _ = main.at(along, side * lateral)
            classes, height = _probe(style).below(x, y, 2.0)
            assert (classes == SIDEWALK).all()
            np.testing.assert_allclose(height, 0.12, atol=0.02)


@pytest.mark.parametrize("style", STYLES)
def test_parking_strips_are_free(style):
    main = _town(style).main
    along = np.linspace(60.0, 130.0, 200)
    for side in (1, -1):
        width = main.parking[0 if side > 0 else 1]
        if width:
            x, y, _ = main.at(along, side * (main.half_width(side) - width / 2))
            assert (_probe(style).below(x, y, 2.0)[0] == ROAD).all()


def test_paint_on_the_road_belongs_to_the_road():
    (road,) = (piece for piece in _pieces("urban") if piece.class_id == ROAD)
    mesh = road.mesh
    paint = np.array([min(material.color) > 0.4 for material in mesh.materials])[mesh.face_materials]
    heights = mesh.vertices[mesh.faces[paint]][..., 2]
    assert paint.sum() > 200
    assert heights.min() > 0
    assert heights.max() < 0.02


def test_a_narrow_road_without_junctions_may_have_no_paint_at_all():
    main = Road(_line(np.zeros(150)), 1, 3.2, (0.0, 0.0), (1.6, 1.8))
    layout = Layout(Town(main, (), "suburb", 7), 120.0)
    roads = [sum(len(p.mesh.faces) for p in ground(layout, np.random.default_rng(seed)).pieces()) for seed in range(24)]
    assert min(roads) < max(roads)  # some with a line in the middle, some without


@pytest.mark.parametrize("style", STYLES)
def test_ground_faces_point_up(style):
    for piece in _pieces(style):
        if piece.class_id in (ROAD, SIDEWALK, TERRAIN):
            a, b, c = (piece.mesh.vertices[piece.mesh.faces[:, k]].astype(np.float64) for k in range(3))
            normals = np.cross(b - a, c - a)
            # Strips folded inside tight bends are the exception.
            assert (normals[:, 2] < -1e-4).mean() < (0.05 if piece.class_id == TERRAIN else 1e-9)


@pytest.mark.parametrize("style", STYLES)
def test_no_view_ends_at_an_empty_horizon(style):
    main, probe = _town(style).main, _probe(style)
    for along in (2.0, 120.0, 238.0):
        x, y, yaw = (float(v) for v in main.at(along))
        angles = yaw + np.linspace(-0.9, 0.9, 181)
        # A little above the horizon, so that the ground itself does not count.
        rays = np.stack([np.cos(angles), np.sin(angles), np.full_like(angles, 0.006)], axis=1)
        classes, _ = probe.first(np.broadcast_to(np.array([x, y, 1.65]), rays.shape), rays)
        assert (classes >= 0).all()


@pytest.mark.parametrize("style", STYLES)
def test_triangles_stay_within_what_the_renderer_likes(style):
    assert 60_000 < sum(len(piece.mesh.faces) for piece in _pieces(style)) < 260_000


def test_the_same_plan_gives_the_same_meshes_and_another_seed_others():
    town = _town("suburb")
    again = scenery(town)
    for first, second in zip(_pieces("suburb"), again, strict=True):
        np.testing.assert_array_equal(first.mesh.vertices, second.mesh.vertices)
        np.testing.assert_array_equal(first.mesh.faces, second.mesh.faces)
        assert first.mesh.materials == second.mesh.materials
    other = scenery(Town(town.main, town.junctions, town.style, 8))
    assert sum(len(p.mesh.faces) for p in other) != sum(len(p.mesh.faces) for p in again)


@pytest.mark.parametrize("style", STYLES)
def test_meshes_are_whole(style):
    for piece in _pieces(style):
        mesh = piece.mesh
        assert np.isfinite(mesh.vertices).all()
        assert np.isfinite(mesh.rest).all()
        assert mesh.faces.min() >= 0
        assert mesh.faces.max() < len(mesh.vertices)
        assert len(mesh.face_materials) == len(mesh.faces) == len(mesh.smooth)
        assert mesh.face_materials.max() < len(mesh.materials)


@pytest.mark.parametrize(
    ("kind", "closed"), [(0, (0.08, 1.2)), (1, None), (2, (0.06, 1.2)), (3, None), (4, (0.55, 0.64))]
)
def test_fences_are_whole_for_labels_where_their_gaps_are_narrow(kind, closed):
    line = np.array([[0.0, 0, 0], [3, 0, 0], [7, 0, 0]])
    fence = railing(line, 1.2, kind, np.random.default_rng(0))
    gaps = fence.faces[np.array([material.gap for material in fence.materials])[fence.face_materials]]
    assert (GAP in fence.materials) == (closed is not None) == bool(len(gaps))
    if closed:
        corners = fence.vertices[gaps]
        assert (corners[..., 2].min(), corners[..., 2].max()) == pytest.approx(closed)
        assert (corners[..., 0].min(), corners[..., 0].max()) == pytest.approx((0, 7))
