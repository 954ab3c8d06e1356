"""Triangle meshes with materials: what every part of the procedural world is made of and what the renderer takes.

Coordinates follow REP 103: x forward, y left, z up, in metres.
"""

from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np


class Texture(Enum):
    """Procedural patterns, computed from the place on the body (its rest coordinates), so that they move with it."""

    PLAIN = "plain"  # one colour, faint dirt
    ASPHALT = "asphalt"  # grain, patches, cracks, tyre tracks
    CONCRETE = "concrete"  # stains, joints
    PAVING = "paving"  # slabs
    GRASS = "grass"
    LEAVES = "leaves"  # clumps of light and dark, down to the leaf
    BARK = "bark"
    BRICK = "brick"
    PLASTER = "plaster"  # stains that run down
    WINDOWS = "windows"  # a facade: `second` is the frame around panes, panes mirror the sky
    FENCE = "fence"  # vertical bars, `second` shows in between
    STRIPES = "stripes"  # bands of colour and second, as on warning boards and awnings
    CLOTH = "cloth"  # folds, sometimes a print
    PLATE = "plate"  # a number plate: dark signs on white


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        color: linear-light RGB albedo, 0 to 1.
        texture: its pattern; ``scale`` metres is the size of the pattern's unit (a slab, a window, a clump).
        second: the pattern's other colour; None = a darker shade of ``color``.
        gloss: share of light mirrored at normal incidence (0 matt, .04 clear coat and glass, more for chrome).
        glass: a window: dark, and what it shows is mostly the mirrored sky.
        emission: light it gives by itself, in units of white paper in the sun (a lit tail light has about 1).
        seed: what the pattern's random parts start from.
        gap: nothing is there, one sees through; only labels take it for a part of the thing (``GAP``).
    """

    color: tuple[float, float, float]
    texture: Texture = Texture.PLAIN
    scale: float = 1.0
    second: tuple[float, float, float] | None = None
    gloss: float = 0.0
    glass: bool = False
    emission: float = 0.0
    seed: int = 0
    gap: bool = False


# Cityscapes' labelling policy, which KITTI-STEP's labels follow: what is in front has no holes, and what is seen through
# spokes, wires or leaves belongs to it.
GAP = Material((0.0, 0.0, 0.0), gap=True)


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Attributes:
        vertices: Nx3 float32, metres.
        faces: Mx3 int32, counter-clockwise seen from outside.
        face_materials: M int32, indices into ``materials``.
        materials: the materials in use.
        smooth: M bool, faces to be shaded with normals interpolated from their vertices (only vertices shared by index
            are smoothed over; give a crease its own vertices).
        rest: Nx3 float32, where the vertices lie on the body at rest: the textures' coordinates.
    """

    vertices: np.ndarray
    faces: np.ndarray
    face_materials: np.ndarray
    materials: tuple[Material, ...]
    smooth: np.ndarray = field(default=None)
    rest: np.ndarray = field(default=None)

    def __post_init__(self):
        if self.smooth is None:
            object.__setattr__(self, "smooth", np.zeros(len(self.faces), dtype=bool))
        if self.rest is None:
            object.__setattr__(self, "rest", self.vertices)

    def moved(self, transform: np.ndarray) -> "Mesh":
        """The mesh under a 4x4 transform; its textures go along."""
        moved = self.vertices @ transform[:3, :3].T + transform[:3, 3]
        return replace(self, vertices=moved.astype(np.float32))


def one_material(vertices: np.ndarray, faces: np.ndarray, material: Material, smooth: bool = False) -> Mesh:
    """A mesh all of one material: Nx3 vertices, Mx3 faces."""
    faces = np.asarray(faces, dtype=np.int32)
    return Mesh(
        np.asarray(vertices, dtype=np.float32),
        faces,
        np.zeros(len(faces), dtype=np.int32),
        (material,),
        np.full(len(faces), smooth),
    )


def joined(meshes: list[Mesh]) -> Mesh:
    """One mesh of several; equal materials are kept once."""
    materials: dict[Material, int] = {}
    vertices, faces, face_materials, offset = [], [], [], 0
    for mesh in meshes:
        index = np.array([materials.setdefault(m, len(materials)) for m in mesh.materials], dtype=np.int32)
        vertices.append(mesh.vertices)
        faces.append(mesh.faces + offset)
        face_materials.append(index[mesh.face_materials])
        offset += len(mesh.vertices)
    return Mesh(
        np.concatenate(vertices),
        np.concatenate(faces).astype(np.int32),
        np.concatenate(face_materials),
        tuple(materials),
        np.concatenate([mesh.smooth for mesh in meshes]),
        np.concatenate([mesh.rest for mesh in meshes]),
    )


@dataclass(frozen=True)
class Piece:
    """A mesh in the world with what it is: its class id (KITTI-STEP's) and track id (0 = stuff)."""

    mesh: Mesh
    class_id: int
    track_id: int = 0


def pose(x: float, y: float, z: float = 0.0, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """4x4 transform of a body: metres and radians, yaw counter-clockwise from above, pitch nose down, roll to the right."""
    cy, sy, cp, sp, cr, sr = (*(f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin)),)
    around_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    around_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    around_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    transform = np.eye(4)
    transform[:3, :3] = around_z @ around_y @ around_x
    transform[:3, 3] = x, y, z
    return transform
