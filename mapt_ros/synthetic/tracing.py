"""Meshes in an embree scene, and what rays find there: the surface hit, its place on the body, and its material."""

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore import EmbreeDevice
from embreex.rtcore_scene import EmbreeScene

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.synthetic.mesh import Material, Piece, Texture

FAR = np.float32(1e6)  # metres; where rays end
TEXTURE_INDEX = {texture: index for index, texture in enumerate(Texture)}


class MaterialTable:
    """Every material met so far, as arrays that can be indexed by a pixel's material number."""

    def __init__(self) -> None:
        self._index: dict[Material, int] = {}
        self._rows: list[tuple[float, ...]] = []
        self._table = np.zeros((0, 12), dtype=np.float32)

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


@dataclass
class Hits:
    """What N rays hit; rows of rays that hit nothing have label -1 and mean nothing else.

    Attributes:
        distance: N float32, metres; FAR where nothing was hit.
        label: N int32.
        material: N int32, numbers in the material table.
        normal: Nx3 float32, unit, for shading, on the viewer's side.
        flat_normal: Nx3 float32, the triangle's own.
        rest: Nx3 float32, the place on the body at rest.
        rest_normal: Nx3 float32, unit, the triangle's normal at rest.
    """

    distance: np.ndarray
    label: np.ndarray
    material: np.ndarray
    normal: np.ndarray
    flat_normal: np.ndarray
    rest: np.ndarray
    rest_normal: np.ndarray

    @staticmethod
    def none(count: int) -> "Hits":
        """Hits of rays that found nothing."""
        vectors = [np.zeros((count, 3), dtype=np.float32) for _ in range(4)]
        numbers = [np.full(count, -1, dtype=np.int32), np.zeros(count, dtype=np.int32)]
        return Hits(np.full(count, FAR, dtype=np.float32), *numbers, *vectors)

    def put(self, where: np.ndarray, other: "Hits") -> None:
        """Takes over all rows of ``other``, at the indices ``where``."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[where] = getattr(other, name)

    def rows(self, which: np.ndarray) -> "Hits":
        """The hits at the indices ``which``."""
        return Hits(*(getattr(self, name).take(which, axis=0) for name in self.__dataclass_fields__))

    def followed_by(self, other: "Hits") -> "Hits":
        """The hits of both, one after the other."""
        return Hits(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__dataclass_fields__))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Nx3 vectors at length 1; zero vectors stay."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return vectors / np.maximum(lengths, np.float32(1e-12))[:, None]


class TracedScene:
    """Pieces whose triangles embree can be asked about."""

    def __init__(self, pieces: list[Piece], materials: MaterialTable, device: EmbreeDevice) -> None:
        pieces = [p for p in pieces if len(p.mesh.faces)]
        self.empty = not pieces
        if self.empty:
            return
        meshes = [p.mesh for p in pieces]
        starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
        self._vertices = np.ascontiguousarray(np.concatenate([m.vertices for m in meshes]), dtype=np.float32)
        self._rest = np.concatenate([m.rest for m in meshes]).astype(np.float32, copy=False)
        self._faces = np.concatenate([m.faces + s for m, s in zip(meshes, starts, strict=True)]).astype(np.int32)
        self._face_material = np.concatenate([materials.indices(m.materials)[m.face_materials] for m in meshes])
        labels = np.array([p.class_id * LABEL_DIVISOR + p.track_id for p in pieces], dtype=np.int32)
        self._face_label = np.repeat(labels, [len(m.faces) for m in meshes])
        self._smooth = np.concatenate([m.smooth for m in meshes])
        self._vertex_normals = self._smoothed_normals()
        self._scene = EmbreeScene(device)
        self._geometry = TriangleMesh(self._scene, self._vertices, self._faces)  # kept alive as long as the scene

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

    def blocked(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray | None = None) -> np.ndarray:
        """N bool: whether the rays hit anything (within ``reach`` metres, N float32)."""
        if self.empty or not len(origins):
            return np.zeros(len(origins), dtype=bool)
        limits = None if reach is None else reach.copy()
        return self._scene.run(origins, directions, query="OCCLUDED", dists=limits) >= 0

    def first_material(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """N int32: the material of the first surface hit, -1 for none."""
        if self.empty or not len(origins):
            return np.full(len(origins), -1, dtype=np.int32)
        face = self._scene.run(origins, directions)
        return np.where(face >= 0, self._face_material[face], np.int32(-1))

    def first_hits(
        self, origin: np.ndarray, directions: np.ndarray, limits: np.ndarray
    ) -> tuple[np.ndarray, dict | None]:
        """What rays from one origin hit.

        Args:
            origin: 3 float32.
            directions: Nx3 float32, unit, contiguous.
            limits: N float32, metres; what is farther is not hit.

        Returns:
            The indices of the rays that hit something, and embree's answer for each ray (None if none hit).
        """
        if self.empty or not len(directions):
            return np.zeros(0, dtype=np.int64), None
        origins = np.ascontiguousarray(np.broadcast_to(origin, directions.shape))
        answer = self._scene.run(origins, directions, dists=limits.copy(), output=1)
        return np.flatnonzero(answer["primID"] >= 0), answer

    def surfaces(self, answer: dict, which: np.ndarray, directions: np.ndarray) -> Hits:
        """What the rays at the indices ``which`` hit, from embree's answer for all of them."""
        face = answer["primID"][which]
        corners = self._faces[face]
        u, v = answer["u"][which, None], answer["v"][which, None]
        weights = (1 - u - v, u, v)
        a, b, c = (self._rest[corners[:, i]] for i in range(3))
        rest = weights[0] * a + u * b + v * c
        rest_normal = unit(np.cross(b - a, c - a))
        flat = unit(answer["Ng"][which])
        towards = directions[which]
        flat *= np.where(np.einsum("ij,ij->i", flat, towards) > 0, np.float32(-1), np.float32(1))[:, None]
        normal = flat
        smooth = self._smooth[face]
        if self._vertex_normals is not None and smooth.any():
            rows = np.flatnonzero(smooth)
            bent = sum(w[rows] * self._vertex_normals[corners[rows, i]] for i, w in enumerate(weights))
            bent = unit(bent)
            bent *= np.where(np.einsum("ij,ij->i", bent, flat[rows]) < 0, np.float32(-1), np.float32(1))[:, None]
            normal = flat.copy()
            normal[rows] = bent
        return Hits(
            answer["tfar"][which], self._face_label[face], self._face_material[face], normal, flat, rest, rest_normal
        )
