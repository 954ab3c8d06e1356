"""Meshes that move by parts: each vertex follows one bone, or blends two at a joint."""

from dataclasses import dataclass, replace

import numpy as np

from mapt_ros.synthetic.mesh import Mesh, joined


@dataclass(frozen=True)
class Rig:
    """A mesh and what carries its vertices.

    Attributes:
        mesh: every vertex in the frame in which its bones are at rest.
        bones: Nx2 int32, the two bones that a vertex follows.
        weights: N float32, the share of the first; 1 = rigid.
    """

    mesh: Mesh
    bones: np.ndarray
    weights: np.ndarray

    def posed(self, transforms: np.ndarray) -> Mesh:
        """The mesh with its bones moved by Kx4x4 transforms from the rest frame to the world."""
        rows = transforms[:, :3].astype(np.float32)

        def under(bones: np.ndarray, vertices: np.ndarray) -> np.ndarray:
            own = rows.take(bones, axis=0)
            return np.einsum("nij,nj->ni", own[:, :, :3], vertices) + own[:, :, 3]

        moved = under(self.bones[:, 0], self.mesh.vertices)
        blended = np.flatnonzero(self.weights < 1)
        if len(blended):
            share = self.weights[blended, None]
            other = under(self.bones[blended, 1], self.mesh.vertices[blended])
            moved[blended] = share * moved[blended] + (1 - share) * other
        return replace(self.mesh, vertices=moved)


def rigid_parts(parts: list[Mesh]) -> Rig:
    """A rig of one bone a part, in order; each part lies in its own bone's frame."""
    bones = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part.vertices) for part in parts])
    return Rig(joined(parts), np.stack([bones, bones], axis=1), np.ones(len(bones), dtype=np.float32))
