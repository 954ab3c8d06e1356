"""Meshes of simple solids (quads, boxes, tubes), made many at a time, and the collection of a world's static parts."""

import numpy as np

from mapt_ros.synthetic.mesh import Material, Mesh, Piece, joined, one_material

_QUAD = np.array([(0, 1, 2), (0, 2, 3)])
# Corners of the unit box and its sides, counter-clockwise from outside; the bottom comes last.
_CORNERS = np.array([(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=np.float64)
_SIDES = np.array([(4, 5, 7, 6), (0, 1, 5, 4), (1, 3, 7, 5), (3, 2, 6, 7), (2, 0, 4, 6), (0, 2, 3, 1)])


def quads(corners: np.ndarray, material: Material, rest: np.ndarray | None = None) -> Mesh:
    """Separate quads: Nx4x3 corners, counter-clockwise seen from outside; ``rest`` likewise if it differs."""
    corners = np.asarray(corners, dtype=np.float32).reshape(-1, 4, 3)
    faces = (np.arange(len(corners))[:, None, None] * 4 + _QUAD).reshape(-1, 3)
    mesh = one_material(corners.reshape(-1, 3), faces, material)
    return mesh if rest is None else with_rest(mesh, np.asarray(rest, dtype=np.float32).reshape(-1, 3))


def with_rest(mesh: Mesh, rest: np.ndarray) -> Mesh:
    """The mesh with other texture coordinates."""
    return Mesh(mesh.vertices, mesh.faces, mesh.face_materials, mesh.materials, mesh.smooth, rest.astype(np.float32))


def triangles(corners: np.ndarray, material: Material, rest: np.ndarray | None = None) -> Mesh:
    """Separate triangles: Nx3x3 corners; ``rest`` likewise if it differs."""
    corners = np.asarray(corners, dtype=np.float32).reshape(-1, 3)
    mesh = one_material(corners, np.arange(len(corners)).reshape(-1, 3), material)
    return mesh if rest is None else with_rest(mesh, np.asarray(rest, dtype=np.float32).reshape(-1, 3))


def boxes(low: np.ndarray, high: np.ndarray, material: Material, bottom: bool = False) -> Mesh:
    """Axis-parallel boxes between Nx3 low and high corners, with or without their undersides."""
    low, high = np.broadcast_arrays(np.atleast_2d(low).astype(np.float64), np.atleast_2d(high).astype(np.float64))
    corners = low[:, None] + (high - low)[:, None] * _CORNERS
    return quads(corners[:, _SIDES if bottom else _SIDES[:-1]], material)


def tubes(points: np.ndarray, radii: np.ndarray, material: Material, sides: int = 6) -> Mesh:
    """Round tubes along paths: NxKx3 points (K >= 2), radii broadcastable to NxK; smooth, open at the ends."""
    points = np.asarray(points, dtype=np.float64)
    count, steps = points.shape[:2]
    radii = np.broadcast_to(radii, (count, steps))
    along = np.gradient(points, axis=1)
    along /= np.linalg.norm(along, axis=2, keepdims=True) + 1e-9
    helper = np.where(np.abs(along[..., 2:]) > 0.9, (1.0, 0, 0), (0, 0, 1.0))
    right = np.cross(along, helper)
    right /= np.linalg.norm(right, axis=2, keepdims=True) + 1e-9
    up = np.cross(right, along)
    turns = np.arange(sides) * 2 * np.pi / sides
    ring = right[:, :, None] * np.cos(turns)[:, None] - up[:, :, None] * np.sin(turns)[:, None]
    vertices = points[:, :, None] + ring * radii[..., None, None]
    index = np.arange(count * steps * sides).reshape(count, steps, sides)
    a, b = index[:, :-1], index[:, 1:]
    corners = np.stack([a, np.roll(a, -1, axis=2), np.roll(b, -1, axis=2), b], axis=-1)[..., _QUAD]
    return one_material(vertices.reshape(-1, 3), corners.reshape(-1, 3), material, smooth=True)


def strip(inner: np.ndarray, outer: np.ndarray, material: Material, rest: tuple[np.ndarray, np.ndarray]) -> Mesh:
    """A ribbon between two lines of N points (Nx3); its upper side is seen with ``inner`` on the right of the way."""
    corners = np.stack([inner[:-1], inner[1:], outer[1:], outer[:-1]], axis=1)
    coordinates = np.stack([rest[0][:-1], rest[0][1:], rest[1][1:], rest[1][:-1]], axis=1)
    return quads(corners, material, coordinates)


class Parts:
    """The meshes of a world in the making, by class id."""

    def __init__(self) -> None:
        self._meshes: dict[int, list[Mesh]] = {}

    def add(self, class_id: int, *meshes: Mesh, transform: np.ndarray | None = None) -> None:
        """Adds meshes of a class, moved by a 4x4 transform if one is given."""
        placed = meshes if transform is None else [mesh.moved(transform) for mesh in meshes]
        self._meshes.setdefault(class_id, []).extend(mesh for mesh in placed if len(mesh.faces))

    def pieces(self) -> list[Piece]:
        """One piece a class."""
        return [Piece(joined(meshes), class_id) for class_id, meshes in sorted(self._meshes.items()) if meshes]
