"""Solids are closed, wind outward, and stay sharp where they have edges."""

import numpy as np
import pytest
import trimesh

from mapt_ros.synthetic.mesh import Material, joined
from mapt_ros.synthetic.solids import Target, box, ellipsoid, hull, mirrored, surface, tube, turned, welded

GREY = Material((0.5, 0.5, 0.5))
STATIONS = np.array([(-2.0, 0.8, 0.3, 1.8, 0.1), (0.0, 0.9, 0.2, 2.0, 0.2), (1.0, 0.7, 0.3, 1.5, 0.1)])
SOLIDS = {
    "box": (box((1.0, 2.0, 0.5), (3.0, 0.0, 1.0), GREY), 1.0),
    "bevelled box": (box((1.0, 2.0, 0.5), (3.0, 0.0, 1.0), GREY, bevel=0.05), 0.985),
    "ball": (ellipsoid((1.0, 0.5, 0.5), (0.0, 1.0, 0.0), GREY, 2), np.pi / 3),
    "tube": (tube(np.array([(0, 0, 0), (0, 0, 1), (0, 0.1, 2.0)]), np.full(3, 0.5), GREY, sides=24), np.pi / 2),
    "turned": (turned(np.array([(0.0, -0.5), (1.0, -0.5), (1.0, 0.5), (0.0, 0.5)]), GREY, 48), np.pi),
    "hull": (hull(STATIONS, GREY), 7.97),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_are_closed_and_wind_outward(name):
    mesh, volume = SOLIDS[name]
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces)  # merges equal vertices
    assert solid.is_watertight
    assert solid.volume == pytest.approx(volume, rel=0.04)
    turned_over = mirrored(mesh)
    assert trimesh.Trimesh(turned_over.vertices, turned_over.faces).volume == pytest.approx(solid.volume, rel=1e-4)


def test_welding_keeps_edges_and_joins_what_is_round():
    cube = welded(box((1, 1, 1), (0, 0, 0), GREY))
    assert len(cube.vertices) == 24  # each corner once for each of its three sides
    bent = np.array([[(x, 0, 0), (x, 1, 0.1), (x, 2, 0.15)] for x in (0.0, 1.0, 2.0)])
    halves = joined([surface(bent[:2], GREY), surface(bent[1:], GREY)])
    assert len(halves.vertices) == 12
    whole = welded(halves)
    assert len(whole.vertices) == 9
    assert len(whole.faces) == len(halves.faces)


def test_surfaces_leave_out_cells_without_area():
    grid = np.array([[(0, 0, 0), (1, 0, 0)], [(0, 1, 0), (1, 1, 0)], [(0, 1, 0), (1, 1, 0)]], dtype=float)
    assert len(surface(grid, GREY).faces) == 2


def test_patches_come_to_lie_on_their_target():
    target = Target(box((2, 2, 2), (0, 0, 0), GREY))
    y, z = np.meshgrid(np.linspace(-0.5, 0.5, 3), np.linspace(-0.4, 0.4, 2))
    patch = target.onto(np.stack([np.full(y.shape, -5.0), y, z], -1), np.array([1.0, 0, 0]), -0.01)
    np.testing.assert_allclose(patch[..., 0], -1.01, atol=1e-5)
    np.testing.assert_allclose(patch[..., 1], y, atol=1e-6)
