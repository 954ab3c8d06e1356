"""Meshes in an embree scene, and what rays find there: the surface hit, its place on the body, and its material."""

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore import EmbreeDevice
from embreex.rtcore_scene import EmbreeScene

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.synthetic.mesh import Material, Piece, Texture
from mapt_ros.synthetic.textures import leaf_gaps

FAR = np.float32(1e6)  # metres; where rays end
_LEAF_LAYERS = 3  # leaves a ray may pass between before the next one stops it
_LEAF_SIZE = 0.12  # metres; where a pixel covers more, gaps between leaves are closed
TEXTURE_INDEX = {texture: index for index, texture in enumerate(Texture)}


class MaterialTable:
    """Every material met so far, as arrays that can be indexed by a pixel's material number."""

    def __init__(self) -> None:
        self._index: dict[Material, int] = {}
        self._rows: list[tuple[float, ...]] = []
        self._table = np.zeros((0, 12), dtype=np.float32)
        self.indices((Material((0.0, 0.0, 0.0)),))  # stands for nothing, number 0

    def indices(self, materials: tuple[Material, ...]) -> np.ndarray:
        """The numbers of these materials, int32; new ones are appended."""
        for material in materials:
            if material not in self._index:
                self._index[material] = len(self._rows)
                second = material.second or tuple(0.5 * c for c in material.color)
                self._rows.append(
                    (*material.color, *second, TEXTURE_INDEX[material.texture], material.scale, material.gloss)
                    + (float(material.glass), material.emission, material.seed % 4096)
                )
        return np.array([self._index[m] for m in materials], dtype=np.int32)

    @property
    def table(self) -> np.ndarray:
        """Mx12 float32: color, second, texture's number, scale, gloss, glass, emission, seed."""
        if len(self._table) != len(self._rows):
            self._table = np.array(self._rows, dtype=np.float32).reshape(-1, 12)
        return self._table


def is_leaves(table: np.ndarray, material: np.ndarray) -> np.ndarray:
    """N bool: whether these materials (N int32, rows of the material table) are foliage."""
    return table[material, 6] == TEXTURE_INDEX[Texture.LEAVES]


@dataclass
class Sight:
    """What N rays found, in embree's terms.

    Attributes:
        distance: N float32, metres; FAR where nothing was hit.
        face: N int32, -1 where nothing was hit; moving faces are numbered on after the static ones.
        u, v: N float32, barycentric coordinates.
        normal: Nx3 float32, the triangle's, of any length and side.
    """

    distance: np.ndarray
    face: np.ndarray
    u: np.ndarray
    v: np.ndarray
    normal: np.ndarray

    @staticmethod
    def of(answer: dict) -> "Sight":
        """From embree's answer."""
        distance = np.where(answer["primID"] >= 0, answer["tfar"], FAR)
        return Sight(distance, answer["primID"], answer["u"], answer["v"], answer["Ng"])

    @staticmethod
    def nothing(count: int) -> "Sight":
        """Of rays that hit nothing."""
        zeros = np.zeros(count, dtype=np.float32)
        return Sight(zeros + FAR, np.full(count, -1, np.int32), zeros, zeros.copy(), np.zeros((count, 3), np.float32))

    def put(self, where: np.ndarray, other: "Sight") -> None:
        """Takes over all rows of ``other``, at the indices ``where``."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[where] = getattr(other, name)

    def rows(self, which: np.ndarray) -> "Sight":
        """The rows at the indices ``which``."""
        return Sight(*(getattr(self, name).take(which, axis=0) for name in self.__dataclass_fields__))

    def followed_by(self, other: "Sight") -> "Sight":
        """The rows of both, one after the other."""
        return Sight(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__dataclass_fields__))


@dataclass(frozen=True)
class Surfaces:
    """The surfaces that N rays hit.

    Attributes:
        material: N int32, numbers in the material table.
        normal: Nx3 float32, unit, for shading, on the viewer's side.
        flat_normal: Nx3 float32, unit, the triangle's own, on the viewer's side.
        rest: Nx3 float32, the place on the body at rest.
        rest_normal: Nx3 float32, unit, the triangle's normal at rest.
    """

    material: np.ndarray
    normal: np.ndarray
    flat_normal: np.ndarray
    rest: np.ndarray
    rest_normal: np.ndarray


def unit(vectors: np.ndarray) -> np.ndarray:
    """Nx3 vectors at length 1; zero vectors stay."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return vectors / np.maximum(lengths, np.float32(1e-12))[:, None]


class Blockers:
    """Triangles (Mx3x3 float32 corners) that only throw shadows; quicker to ask than what they look like."""

    def __init__(self, corners: np.ndarray, device: EmbreeDevice) -> None:
        self._scene = None
        if len(corners):
            self._scene = EmbreeScene(device, robust=False)
            self._geometry = TriangleMesh(self._scene, corners)

    def hide(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """N bool: whether the rays hit anything."""
        if self._scene is None or not len(origins):
            return np.zeros(len(origins), dtype=bool)
        return self._scene.run(origins, directions, query="OCCLUDED") >= 0


class TracedScene:
    """Pieces whose triangles embree can be asked about."""

    def __init__(self, pieces: list[Piece], materials: MaterialTable, device: EmbreeDevice) -> None:
        pieces = [p for p in pieces if len(p.mesh.faces)]
        meshes = [p.mesh for p in pieces]
        counts = [len(m.faces) for m in meshes]
        self.count = sum(counts)
        labels = np.array([p.class_id * LABEL_DIVISOR + p.track_id for p in pieces], dtype=np.int32)
        self.face_label = np.repeat(labels, counts)
        self.face_material = np.concatenate(
            [np.zeros(0, np.int32)] + [materials.indices(m.materials)[m.face_materials] for m in meshes]
        )
        if not self.count:
            return
        starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
        self._vertices = np.ascontiguousarray(np.concatenate([m.vertices for m in meshes]), dtype=np.float32)
        self._rest = np.concatenate([m.rest for m in meshes]).astype(np.float32, copy=False)
        self._faces = np.concatenate([m.faces + s for m, s in zip(meshes, starts, strict=True)]).astype(np.int32)
        self._smooth = np.concatenate([m.smooth for m in meshes])
        self._vertex_normals = self._smoothed_normals()
        self._scene = EmbreeScene(device, robust=False)  # a fifth faster, and no leaks between shared corners
        # Corner by corner is the form that embreex copies fastest. The geometry is kept alive as long as the scene.
        self._geometry = TriangleMesh(self._scene, self._vertices.take(self._faces, axis=0))

    def _smoothed_normals(self) -> np.ndarray | None:
        """Vx3 float32, the vertices' mean normals over their smooth faces, weighted by area."""
        if not self._smooth.any():
            return None
        faces = self._faces[self._smooth]
        a, b, c = (self._vertices[faces[:, i]] for i in range(3))
        normals = np.cross(b - a, c - a)
        corners, count = faces.ravel(), len(self._vertices)
        sums = [np.bincount(corners, np.repeat(normals[:, i], 3), count) for i in range(3)]
        return np.stack(sums, axis=1).astype(np.float32)

    def blockers(self, which: np.ndarray, device: EmbreeDevice) -> Blockers:
        """The faces for which ``which`` (bool) holds."""
        return Blockers(self._vertices.take(self._faces[which], axis=0) if self.count else np.zeros((0, 3, 3)), device)

    def blocked(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray | None = None) -> np.ndarray:
        """N bool: whether the rays hit anything (within ``reach`` metres, N float32)."""
        if not self.count or not len(origins):
            return np.zeros(len(origins), dtype=bool)
        limits = None if reach is None else reach.copy()
        return self._scene.run(origins, directions, query="OCCLUDED", dists=limits) >= 0

    def first_material(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """N int32: the material of the first surface hit, -1 for none."""
        if not self.count or not len(origins):
            return np.full(len(origins), -1, dtype=np.int32)
        face = self._scene.run(origins, directions)
        return np.where(face >= 0, self.face_material[face], np.int32(-1))

    def look(self, origins: np.ndarray, directions: np.ndarray, limits: np.ndarray | None = None) -> Sight:
        """What N rays (Nx3 float32 contiguous, unit directions) hit nearer than ``limits`` metres (N float32)."""
        if not self.count or not len(directions):
            return Sight.nothing(len(directions))
        limits = None if limits is None else limits.copy()
        return Sight.of(self._scene.run(origins, directions, dists=limits, output=1))

    def rest_places(self, sight: Sight) -> tuple[np.ndarray, np.ndarray]:
        """Nx3 float32 places on the bodies at rest and unit normals there; every ray must have hit."""
        corners = self._faces[sight.face]
        a, b, c = (self._rest.take(corners[:, i], axis=0) for i in range(3))
        b -= a
        c -= a
        return a + sight.u[:, None] * b + sight.v[:, None] * c, unit(np.cross(b, c))

    def surfaces(self, sight: Sight, directions: np.ndarray) -> Surfaces:
        """What the rays hit; every ray must have hit."""
        face = sight.face
        rest, rest_normal = self.rest_places(sight)
        flat = unit(sight.normal)
        flat *= np.where(np.einsum("ij,ij->i", flat, directions) > 0, np.float32(-1), np.float32(1))[:, None]
        normal = flat
        rows = np.flatnonzero(self._smooth[face])
        if self._vertex_normals is not None and len(rows):
            corners, u, v = self._faces[face[rows]], sight.u[rows, None], sight.v[rows, None]
            a, b, c = (self._vertex_normals.take(corners[:, i], axis=0) for i in range(3))
            bent = unit((1 - u - v) * a + u * b + v * c)
            bent *= np.where(np.einsum("ij,ij->i", bent, flat[rows]) < 0, np.float32(-1), np.float32(1))[:, None]
            normal = flat.copy()
            normal[rows] = bent
        return Surfaces(self.face_material[face], normal, flat, rest, rest_normal)


class Tracer:
    """Asks what stands still and what moves together."""

    def __init__(self, static: TracedScene, dynamic: TracedScene, materials: MaterialTable) -> None:
        self.static, self.dynamic = static, dynamic
        self.table = materials.table
        self._label = np.concatenate([static.face_label, dynamic.face_label, [-1]]).astype(np.int32)
        self._material = np.concatenate([static.face_material, dynamic.face_material, [0]]).astype(np.int32)
        self._leafy_face = self.is_leaves(static.face_material)

    def is_leaves(self, material: np.ndarray) -> np.ndarray:
        """N bool: whether these materials (N int32) are foliage."""
        return is_leaves(self.table, material)

    def look(self, origin: np.ndarray, directions: np.ndarray, covered: np.ndarray, pixel: float) -> Sight:
        """What rays from one place hit.

        Args:
            origin: 3 float32.
            directions: Nx3 float32, unit, contiguous.
            covered: N bool; the other rays cannot hit moving pieces.
            pixel: angle between rays, radians: finer gaps between leaves are closed.
        """
        origins = np.ascontiguousarray(np.broadcast_to(origin, directions.shape))
        sight = self.static.look(origins, directions)
        if self._leafy_face.any():
            self._pass_leaves(sight, origin, directions, pixel)
        near = np.flatnonzero(covered)
        moving = self.dynamic.look(origins[: len(near)], directions[near], sight.distance[near])
        front = np.flatnonzero(moving.face >= 0)
        moving.face += np.int32(self.static.count)
        sight.put(near[front], moving.rows(front))
        return sight

    def _pass_leaves(self, sight: Sight, origin: np.ndarray, directions: np.ndarray, pixel: float) -> None:
        """Lets rays go on through the gaps between the leaves of a foliage triangle."""
        near = sight.distance < _LEAF_SIZE / pixel
        rows = np.flatnonzero(near & (sight.face >= 0) & self._leafy_face[sight.face])
        for _ in range(_LEAF_LAYERS):
            here = sight.rows(rows)
            rest, rest_normal = self.static.rest_places(here)
            table = self.table[self.static.face_material[here.face]]
            gap = leaf_gaps(table, rest, rest_normal, here.distance * np.float32(pixel))
            rows, walked = rows[gap], here.distance[gap] + np.float32(2e-3)
            if not len(rows):
                return
            beyond = self.static.look(origin + directions[rows] * walked[:, None], directions[rows])
            beyond.distance = np.minimum(beyond.distance + walked, FAR)
            sight.put(rows, beyond)
            rows = rows[(beyond.face >= 0) & self._leafy_face[beyond.face]]

    def label(self, sight: Sight) -> np.ndarray:
        """N int32 labels, -1 where nothing was hit."""
        return self._label[sight.face]

    def material(self, sight: Sight) -> np.ndarray:
        """N int32 numbers in the material table; of no meaning where nothing was hit."""
        return self._material[sight.face]

    def surfaces(self, sight: Sight, directions: np.ndarray) -> Surfaces:
        """What the rays hit; every ray must have hit."""
        if not len(directions):
            none = np.zeros((0, 3), dtype=np.float32)
            return Surfaces(np.zeros(0, dtype=np.int32), none, none, none, none)
        moving = np.flatnonzero(sight.face >= self.static.count)
        if not len(moving):
            return self.static.surfaces(sight, directions)
        still = np.flatnonzero(sight.face < self.static.count)
        own = sight.rows(moving)
        own.face = own.face - np.int32(self.static.count)
        parts = [(moving, self.dynamic.surfaces(own, directions[moving]))]
        if len(still):
            parts.append((still, self.static.surfaces(sight.rows(still), directions[still])))
        merged = []
        for name in Surfaces.__dataclass_fields__:
            first = getattr(parts[0][1], name)
            values = np.empty((len(directions), *first.shape[1:]), dtype=first.dtype)
            for rows, part in parts:
                values[rows] = getattr(part, name)
            merged.append(values)
        return Surfaces(*merged)

    def blocked(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray | None = None) -> np.ndarray:
        """N bool: whether the rays hit anything (within ``reach`` metres, N float32)."""
        hidden = self.static.blocked(origins, directions, reach)
        rest = np.flatnonzero(~hidden)
        limits = None if reach is None else reach[rest]
        hidden[rest] = self.dynamic.blocked(origins[rest], directions[rest], limits)
        return hidden
