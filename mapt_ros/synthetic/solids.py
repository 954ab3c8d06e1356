"""Builders of smooth solids as triangle meshes: grids, tubes, ellipsoids, rounded boxes and bodies of revolution."""

from dataclasses import replace
from functools import cache

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mapt_ros.synthetic.mesh import Material, Mesh, joined, one_material

CREASE = np.radians(38)  # edges sharper than this stay sharp under smooth shading


def surface(points: np.ndarray, material: Material, flip: bool = False) -> Mesh:
    """A smooth surface through an RxCx3 grid of points.

    Its outside is where (along the columns) x (along the rows) points to; ``flip`` turns it over. Cells that have
    shrunk to a line or a point are left out.
    """
    faces = _grid_faces(*points.shape[:2])
    vertices = points.reshape(-1, 3).astype(np.float32)
    first = vertices[faces[:, 0]]
    (ax, ay, az), (bx, by, bz) = (vertices[faces[:, 1]] - first).T, (vertices[faces[:, 2]] - first).T
    doubled = (ay * bz - az * by) ** 2 + (az * bx - ax * bz) ** 2 + (ax * by - ay * bx) ** 2  # area, squared
    faces = faces[doubled > 4e-12]
    return one_material(vertices, faces[:, ::-1] if flip else faces, material, smooth=True)


@cache
def _grid_faces(rows: int, columns: int) -> np.ndarray:
    corner = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]
    return np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2).reshape(-1, 3)


def raised(points: np.ndarray, by: float, flip: bool = False) -> np.ndarray:
    """An RxCx3 grid lifted ``by`` metres along its outward normals, so that it lies on top of what it was read off."""
    normals = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    return points + (-by if flip else by) * normals


def mirrored(mesh: Mesh) -> Mesh:
    """The mesh with left and right exchanged."""
    vertices = mesh.vertices * np.float32([1, -1, 1])
    return replace(mesh, vertices=vertices, rest=vertices, faces=np.ascontiguousarray(mesh.faces[:, ::-1]))


def both(mesh: Mesh) -> Mesh:
    """A part of the left side and its mirror image."""
    return joined([mesh, mirrored(mesh)])


def welded(mesh: Mesh, crease: float = CREASE) -> Mesh:
    """The mesh with vertices shared by all corners that meet at a place, except over edges sharper than ``crease``.

    So that smooth shading rounds what is round and keeps edges; vertices that lie at one place are welded first.
    """
    _, places = np.unique(np.round(mesh.vertices * 1e4).astype(np.int64), axis=0, return_inverse=True)
    faces = places.reshape(-1)[mesh.faces]
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    # The two ends of each of the 3M face edges, as corner numbers, sorted so that equal edges come next to each other.
    starts = np.arange(faces.size).reshape(-1, 3)
    corners = np.stack([starts.ravel(), np.roll(starts, -1, axis=1).ravel()], axis=1)
    keys = faces.ravel()[corners]
    corners = np.where(keys[:, :1] > keys[:, 1:], corners[:, ::-1], corners)
    keys = np.sort(keys, axis=1)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    corners, keys = corners[order], keys[order]
    one, other = corners[:-1], corners[1:]
    cosine = (normals[one[:, 0] // 3] * normals[other[:, 0] // 3]).sum(axis=1)
    shared = (keys[:-1] == keys[1:]).all(axis=1) & (cosine > np.cos(crease))
    links = np.concatenate([one[shared], other[shared]], axis=1)[:, [0, 2, 1, 3]].reshape(-1, 2)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(faces.size, faces.size))
    _, groups = connected_components(graph, directed=False)
    _, first = np.unique(groups, return_index=True)
    kept = mesh.faces.ravel()[first]
    return replace(
        mesh, vertices=mesh.vertices[kept], rest=mesh.rest[kept], faces=groups.reshape(-1, 3).astype(np.int32)
    )


def box(size, center, material: Material, bevel: float = 0.0) -> Mesh:
    """An upright box of ``size`` (x, y, z) metres around ``center``; ``bevel`` metres are cut off its edges."""
    half = 0.5 * np.asarray(size, dtype=np.float64)
    signs, faces = _box_faces(bevelled=bevel > 0)
    if not bevel:
        return one_material(signs * half + center, faces, material)
    cuts = np.array([[bevel, bevel, 0], [bevel, 0, bevel], [0, bevel, bevel]])
    return one_material(np.concatenate([signs * (half - cut) for cut in cuts]) + center, faces, material)


@cache
def _box_faces(bevelled: bool) -> tuple[np.ndarray, np.ndarray]:
    """The signs of a box's eight corners, and the faces between these, or between the 24 where edges are cut off."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    cuts = 0.3 * np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]]) if bevelled else np.zeros((1, 3))
    places = np.concatenate([signs * (1 - cut) for cut in cuts])
    hull_mesh = trimesh.convex.convex_hull(places)
    order = np.linalg.norm(hull_mesh.vertices[:, None] - places, axis=-1).argmin(axis=1)
    return signs, order[hull_mesh.faces]


@cache
def _ball(subdivisions: int) -> tuple[np.ndarray, np.ndarray]:
    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    return np.asarray(ball.vertices), np.asarray(ball.faces)


def ellipsoid(radii, center, material: Material, subdivisions: int = 1) -> Mesh:
    """An ellipsoid with ``radii`` (x, y, z) metres around ``center``; 80 faces at 1 subdivision, 320 at 2."""
    vertices, faces = _ball(subdivisions)
    return one_material(vertices * np.asarray(radii) + center, faces, material, smooth=True)


def tube(path: np.ndarray, radii: np.ndarray, material: Material, sides: int = 8, forward=(1.0, 0.0, 0.0)) -> Mesh:
    """A closed tube along Kx3 points with elliptic sections.

    Args:
        radii: K (round) or Kx2 metres, the half axes towards ``forward`` and across it.
        forward: the direction that the first half axis points to, made square to the path; not along the path.
    """
    path = np.asarray(path, dtype=np.float64)
    radii = np.asarray(radii, dtype=np.float64)
    radii = np.stack([radii, radii], axis=1) if radii.ndim == 1 else radii
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    first = np.asarray(forward) - (along @ forward)[:, None] * along
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)[None, :, None]
    around = np.cos(turn) * (radii[:, :1] * first)[:, None] + np.sin(turn) * (radii[:, 1:] * second)[:, None]
    rings = len(path)
    vertices = np.concatenate([(path[:, None] + around).reshape(-1, 3), path[[0, -1]]])
    i = np.arange(sides)
    j = (i + 1) % sides
    below = (np.arange(rings - 1) * sides)[:, None]
    lower = np.stack([below + i, below + j, below + sides + j], -1).reshape(-1, 3)
    upper = np.stack([below + i, below + sides + j, below + sides + i], -1).reshape(-1, 3)
    start = np.stack([np.full(sides, rings * sides), j, i], -1)
    last = (rings - 1) * sides
    end = np.stack([np.full(sides, rings * sides + 1), last + i, last + j], -1)
    return one_material(vertices, np.concatenate([lower, upper, start, end]), material, smooth=True)


def turned(outline: np.ndarray, material: Material, sections: int = 16) -> Mesh:
    """A body turned around the y axis: Kx2 points (radius, y), the outside to the right of the way along them."""
    outline = np.asarray(outline, dtype=np.float64)
    turn = np.linspace(0, 2 * np.pi, sections + 1)
    radius, y = outline[:, :1], np.broadcast_to(outline[:, 1:], (len(outline), sections + 1))
    return surface(np.stack([radius * np.cos(turn), y, radius * np.sin(turn)], -1), material, flip=True)


def hull(stations: np.ndarray, material: Material, steps: int = 3) -> Mesh:
    """A closed hull with rounded rectangular sections, welded.

    Args:
        stations: Kx5 metres in the order of rising x: x, half width, bottom, top, radius of the section's corners.
        steps: facets of a rounded corner.
    """
    x, half, bottom, top, radius = (column[:, None] for column in np.asarray(stations, dtype=np.float64).T)
    turn = np.linspace(0, 0.5 * np.pi, steps + 1)
    turn = np.concatenate([turn + quarter * 0.5 * np.pi for quarter in range(4)])[None]
    left, up = np.repeat([[1, -1, -1, 1], [1, 1, -1, -1]], steps + 1, axis=1)
    y = left * (half - radius) + radius * np.cos(turn)
    z = np.where(up > 0, top - radius, bottom + radius) + radius * np.sin(turn)
    grid = np.stack([np.broadcast_to(x, y.shape), y, z], axis=-1)
    closed = np.concatenate([grid, grid[:, :1]], axis=1)
    middle = np.broadcast_to(closed.mean(axis=1, keepdims=True), closed.shape)
    caps = [np.stack([middle[0], closed[0]]), np.stack([closed[-1], middle[-1]])]
    return welded(joined([surface(part, material) for part in (closed, *caps)]))


class Target:
    """A mesh that patches (windows, lamps, plates) are laid upon, by rays."""

    def __init__(self, mesh: Mesh) -> None:
        self._scene = EmbreeScene()
        self._geometry = TriangleMesh(self._scene, mesh.vertices, mesh.faces)  # lives as long as the scene

    def onto(self, origins: np.ndarray, directions: np.ndarray, by: float) -> np.ndarray:
        """RxCx3 places: where rays from ``origins`` along ``directions`` (either broadcasts) first meet the mesh.

        The patch is lifted by ``by`` metres towards the viewer at the rays' outer side. A ray that meets nothing takes
        the mean distance of the others.
        """
        origins, directions = np.broadcast_arrays(origins, directions)
        shape = origins.shape
        directions = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
        rays = [np.ascontiguousarray(a.reshape(-1, 3), dtype=np.float32) for a in (origins, directions)]
        distance = self._scene.run(*rays, query="DISTANCE")
        hit = distance < 1e6
        distance = np.where(hit, distance, distance[hit].mean() if hit.any() else 0.0)
        return origins + directions * (distance.reshape(*shape[:2], 1) + by)
