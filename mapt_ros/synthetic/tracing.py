"""Meshes in an embree scene, and what rays find there: the surface hit, its place on the body, and its material.

Rays, places and normals are 3xN arrays: NumPy computes along rows several times as fast as across them.
"""

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore import EmbreeDevice
from embreex.rtcore_scene import EmbreeScene

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.synthetic.mesh import Material, Mesh, Piece, Texture
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
        self._table = np.zeros((12, 0), dtype=np.float32)
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
        """12xM float32, a column a material: color, second, texture's number, scale, gloss, glass, emission, seed."""
        if self._table.shape[1] != len(self._rows):
            self._table = np.array(self._rows, dtype=np.float32).T.copy()
        return self._table


def is_leaves(table: np.ndarray, material: np.ndarray) -> np.ndarray:
    """N bool: whether these materials (N integers, columns of the material table) are foliage."""
    return table[6].take(material) == TEXTURE_INDEX[Texture.LEAVES]


@dataclass
class Sight:
    """What N rays found, in embree's terms.

    Attributes:
        distance: N float32, metres; FAR where nothing was hit.
        face: N int32, -1 where nothing was hit; moving faces are numbered on after the static ones.
        u, v: N float32, barycentric coordinates.
    """

    distance: np.ndarray
    face: np.ndarray
    u: np.ndarray
    v: np.ndarray

    @staticmethod
    def of(answer: dict) -> "Sight":
        """From embree's answer."""
        distance = np.where(answer["primID"] >= 0, answer["tfar"], FAR)
        return Sight(distance, answer["primID"], answer["u"], answer["v"])

    @staticmethod
    def nothing(count: int) -> "Sight":
        """Of rays that hit nothing."""
        zeros = np.zeros(count, dtype=np.float32)
        return Sight(zeros + FAR, np.full(count, -1, np.int32), zeros, zeros.copy())

    def put(self, where: np.ndarray, other: "Sight") -> None:
        """Takes over all rays of ``other``, at the indices ``where``."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[where] = getattr(other, name)

    def rows(self, which: np.ndarray) -> "Sight":
        """The rays at the indices ``which``."""
        return Sight(*(getattr(self, name).take(which) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Surfaces:
    """The surfaces that N rays hit.

    Attributes:
        material: N integers, numbers in the material table.
        normal: 3xN float32, unit, for shading, on the viewer's side.
        flat_normal: 3xN float32, unit, the triangle's own, on the viewer's side.
        rest: 3xN float32, the place on the body at rest.
        rest_normal: 3xN float32, unit, the triangle's normal at rest.
    """

    material: np.ndarray
    normal: np.ndarray
    flat_normal: np.ndarray
    rest: np.ndarray
    rest_normal: np.ndarray


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """N dot products of 3xN vectors; one of them may be a single vector (3)."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def turned(matrix: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """A 3x3 matrix times 3xN vectors. BLAS would do it on several threads, which spend more time than they save."""
    return np.stack([dot(row, vectors) for row in matrix])


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """3xN cross products of 3xN vectors."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def unit(vectors: np.ndarray) -> np.ndarray:
    """3xN vectors at length 1; zero vectors stay."""
    return vectors / np.maximum(np.sqrt(dot(vectors, vectors)), np.float32(1e-12))


class Blockers:
    """Triangles (Mx3x3 float32 corners) that only throw shadows; quicker to ask than what they look like."""

    def __init__(self, corners: np.ndarray, device: EmbreeDevice) -> None:
        self._scene = None
        if len(corners):
            self._scene = EmbreeScene(device, robust=False)
            self._geometry = TriangleMesh(self._scene, corners)

    def hide(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """N bool: whether the rays (3xN float32) hit anything."""
        if self._scene is None or not origins.shape[1]:
            return np.zeros(origins.shape[1], dtype=bool)
        return self._scene.run(origins.T, directions.T, query="OCCLUDED") >= 0


class Gaps:
    """Triangles (Mx3x3 float32 corners, M int32 labels) that close for labels what the camera sees through."""

    def __init__(self, corners: np.ndarray, labels: np.ndarray, device: EmbreeDevice) -> None:
        self._labels, self._scene = labels, None
        if len(corners):
            self._scene = EmbreeScene(device, robust=False)
            self._geometry = TriangleMesh(self._scene, corners)

    def close(
        self, origin: np.ndarray, directions: np.ndarray, rays: np.ndarray, labels: np.ndarray, distance: np.ndarray
    ) -> None:
        """Where ``rays`` (indices) of 3xN rays from one place pass a gap: its label and distance in place of what is behind.

        Args:
            origin: 3 float32.
            directions: 3xN float32, unit.
            rays: K integers.
            labels: N int32, of what was seen; changed in place.
            distance: N float32, metres to it; changed in place.
        """
        if self._scene is None or not len(rays):
            return
        ways = directions.take(rays, axis=1)
        origins = np.broadcast_to(origin[:, None], ways.shape)
        found = Sight.of(self._scene.run(origins.T, ways.T, dists=distance[rays], output=1))
        passed = np.flatnonzero(found.face >= 0)
        labels[rays[passed]] = self._labels[found.face[passed]]
        distance[rays[passed]] = found.distance[passed]


class TracedScene:
    """Pieces whose triangles embree can be asked about; ``gaps`` closes their gaps and those between leaves."""

    def __init__(self, pieces: list[Piece], materials: MaterialTable, device: EmbreeDevice) -> None:
        pieces = [p for p in pieces if len(p.mesh.faces)]
        meshes = [p.mesh for p in pieces]
        counts = [len(m.faces) for m in meshes]
        labels = np.array([p.class_id * LABEL_DIVISOR + p.track_id for p in pieces], dtype=np.int32)
        labels = np.repeat(labels, counts)
        face_material = np.concatenate(
            [np.zeros(0, np.int32)] + [materials.indices(m.materials)[m.face_materials] for m in meshes]
        )
        there = np.concatenate([np.zeros(0, bool)] + [~_gap_faces(m) for m in meshes])
        self.count = int(there.sum())
        self.face_label, self.face_material = labels[there], face_material[there]
        if not len(there):
            self.gaps = Gaps(np.zeros((0, 3, 3), np.float32), labels, device)
            return
        starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
        vertices = np.concatenate([m.vertices for m in meshes]).astype(np.float32, copy=False)
        rest = np.concatenate([m.rest for m in meshes]).astype(np.float32, copy=False)
        faces = np.concatenate([m.faces + s for m, s in zip(meshes, starts, strict=True)]).astype(np.intp)
        closing = ~there | is_leaves(materials.table, face_material)
        self.gaps = Gaps(vertices.take(faces[closing], axis=0), labels[closing], device)
        self._faces = faces[there]
        self._smooth = np.concatenate([m.smooth for m in meshes])[there]
        self._vertex_normals = _smoothed_normals(vertices, self._faces[self._smooth])
        self._scene = EmbreeScene(device, robust=False)  # a fifth faster, and no leaks between shared corners
        # The geometry is kept alive as long as the scene.
        self._geometry = TriangleMesh(self._scene, vertices, self._faces)
        self._corners = vertices.take(self._faces, axis=0)
        self._facts = _face_facts(self._corners, rest.take(self._faces, axis=0))

    def blockers(self, which: np.ndarray, device: EmbreeDevice) -> Blockers:
        """The faces for which ``which`` (bool) holds."""
        return Blockers(self._corners[which] if self.count else np.zeros((0, 3, 3), np.float32), device)

    def blocked(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray | None = None) -> np.ndarray:
        """N bool: whether the rays (3xN float32) hit anything (within ``reach`` metres, N float32)."""
        if not self.count or not origins.shape[1]:
            return np.zeros(origins.shape[1], dtype=bool)
        limits = None if reach is None else reach.copy()
        return self._scene.run(origins.T, directions.T, query="OCCLUDED", dists=limits) >= 0

    def first_material(self, origins: np.ndarray, directions: np.ndarray, reach: float) -> np.ndarray:
        """N int32: the material of the first surface that the rays (3xN) hit within ``reach`` metres, -1 for none."""
        if not self.count or not origins.shape[1]:
            return np.full(origins.shape[1], -1, dtype=np.int32)
        face = self._scene.run(origins.T, directions.T, dists=np.full(origins.shape[1], reach, np.float32))
        return np.where(face >= 0, self.face_material[face], np.int32(-1))

    def look(self, origins: np.ndarray, directions: np.ndarray, limits: np.ndarray | None = None) -> Sight:
        """What N rays (3xN float32, unit directions) hit nearer than ``limits`` metres (N float32)."""
        if not self.count or not directions.shape[1]:
            return Sight.nothing(directions.shape[1])
        limits = None if limits is None else limits.copy()
        return Sight.of(self._scene.run(origins.T, directions.T, dists=limits, output=1))

    def facts(self, face: np.ndarray) -> np.ndarray:
        """15xN float32: for each face its corner at rest and the edges from there, its normals at rest and now."""
        return self._facts.take(face, axis=1, mode="clip") if self.count else np.zeros((15, len(face)), np.float32)

    def bend(self, normals: np.ndarray, rays: np.ndarray, face: np.ndarray, u: np.ndarray, v: np.ndarray) -> None:
        """Replaces the columns ``rays`` of 3xN normals, hits of ``face`` at ``u``, ``v``, where the faces are smooth."""
        if not self.count or self._vertex_normals is None:
            return
        which = np.flatnonzero(self._smooth.take(face))
        rays, corners, u, v = rays[which], self._faces.take(face[which], axis=0), u[which], v[which]
        a, b, c = (self._vertex_normals.take(corners[:, i], axis=1) for i in range(3))
        bent = unit((1 - u - v) * a + u * b + v * c)
        flip = dot(bent, normals.take(rays, axis=1)) < 0
        normals[:, rays] = np.where(flip, -bent, bent)


def _gap_faces(mesh: Mesh) -> np.ndarray:
    """M bool: the faces that are gaps."""
    return np.array([material.gap for material in mesh.materials], dtype=bool)[mesh.face_materials]


def _smoothed_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray | None:
    """3xV float32, the vertices' mean normals over their smooth faces (Mx3), weighted by area."""
    if not len(faces):
        return None
    a, b, c = (vertices.take(faces[:, i], axis=0).T for i in range(3))
    normals = cross(b - a, c - a)
    corners = faces.ravel()
    sums = [np.bincount(corners, np.repeat(row, 3), len(vertices)) for row in normals]
    return np.stack(sums).astype(np.float32)


def _face_facts(corners: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """15xM float32: see ``TracedScene.facts``; of Mx3x3 corners, now and at rest."""
    (a, b, c), (d, e, f) = (np.ascontiguousarray(places.transpose(1, 2, 0)) for places in (rest, corners))
    b -= a
    c -= a
    return np.concatenate([a, b, c, unit(cross(b, c)), unit(cross(e - d, f - d))])


def rest_places(facts: np.ndarray, sight: Sight) -> tuple[np.ndarray, np.ndarray]:
    """3xN float32 places on the bodies at rest and unit normals there."""
    return facts[:3] + sight.u * facts[3:6] + sight.v * facts[6:9], facts[9:12]


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
            directions: 3xN float32, unit.
            covered: N bool; the other rays cannot hit moving pieces.
            pixel: angle between rays, radians: finer gaps between leaves are closed.
        """
        origins = np.broadcast_to(origin[:, None], directions.shape)
        sight = self.static.look(origins, directions)
        if self._leafy_face.any():
            self._pass_leaves(sight, origin, directions, pixel)
        near = np.flatnonzero(covered)
        moving = self.dynamic.look(origins[:, : len(near)], directions.take(near, axis=1), sight.distance[near])
        front = np.flatnonzero(moving.face >= 0)
        moving.face += np.int32(self.static.count)
        sight.put(near[front], moving.rows(front))
        return sight

    def _pass_leaves(self, sight: Sight, origin: np.ndarray, directions: np.ndarray, pixel: float) -> None:
        """Lets rays go on through the gaps between the leaves of a foliage triangle."""
        near = sight.distance < _LEAF_SIZE / pixel
        rows = np.flatnonzero(near & (sight.face >= 0) & self._leafy_face.take(sight.face))
        for _ in range(_LEAF_LAYERS):
            here = sight.rows(rows)
            rest, rest_normal = rest_places(self.static.facts(here.face), here)
            table = self.table.take(self.static.face_material[here.face], axis=1)
            gap = leaf_gaps(table, rest, rest_normal, here.distance * np.float32(pixel))
            rows, walked = rows[gap], here.distance[gap] + np.float32(2e-3)
            if not len(rows):
                return
            onward = directions.take(rows, axis=1)
            beyond = self.static.look(origin[:, None] + onward * walked, onward)
            beyond.distance = np.minimum(beyond.distance + walked, FAR)
            sight.put(rows, beyond)
            rows = rows[(beyond.face >= 0) & self._leafy_face[beyond.face]]

    def label(self, sight: Sight) -> np.ndarray:
        """N int32 labels, -1 where nothing was hit."""
        return self._label.take(sight.face, mode="wrap")

    def closed(
        self, labels: np.ndarray, sight: Sight, origin: np.ndarray, directions: np.ndarray, covered: np.ndarray
    ) -> np.ndarray:
        """N int32: ``labels`` of what ``look`` saw with the same rays, with the gaps in front of it closed."""
        labels, distance = labels.copy(), sight.distance.copy()
        self.static.gaps.close(origin, directions, np.arange(len(labels)), labels, distance)
        self.dynamic.gaps.close(origin, directions, np.flatnonzero(covered), labels, distance)
        return labels

    def material(self, sight: Sight) -> np.ndarray:
        """N integers, numbers in the material table; of no meaning where nothing was hit."""
        return self._material.take(sight.face, mode="wrap")

    def surfaces(self, sight: Sight, directions: np.ndarray) -> Surfaces:
        """What the rays (3xN) hit; every ray must have hit."""
        facts = self.static.facts(sight.face)
        still = sight.face < self.static.count
        moving, still = np.flatnonzero(~still), np.flatnonzero(still)
        own = sight.face[moving] - self.static.count
        facts[:, moving] = self.dynamic.facts(own)
        rest, rest_normal = rest_places(facts, sight)
        flat = np.where(dot(facts[12:], directions) > 0, -facts[12:], facts[12:])
        normal = flat.copy()
        self.static.bend(normal, still, sight.face[still], sight.u[still], sight.v[still])
        self.dynamic.bend(normal, moving, own, sight.u[moving], sight.v[moving])
        return Surfaces(self.material(sight), normal, flat, rest, rest_normal)

    def blocked(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """N bool: whether the rays (3xN float32) hit anything within ``reach`` metres (N float32)."""
        hidden = self.static.blocked(origins, directions, reach)
        rest = np.flatnonzero(~hidden)
        hidden[rest] = self.dynamic.blocked(origins.take(rest, axis=1), directions.take(rest, axis=1), reach[rest])
        return hidden
