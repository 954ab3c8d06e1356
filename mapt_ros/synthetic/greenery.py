"""Trees, bushes, hedges and woods, grown from many small overlapping leaf clumps with ragged outlines."""

from dataclasses import replace

import numpy as np

from mapt_ros.synthetic.mesh import Material, Mesh, Texture, joined, pose
from mapt_ros.synthetic.shapes import Parts, quads, triangles, tubes, with_rest

VEGETATION = 8

_DETAILS = (1.0, 0.4, 0.13)  # a tree is grown in these grades of detail

GREENS = (
    (0.1, 0.15, 0.035),
    (0.08, 0.13, 0.04),
    (0.13, 0.165, 0.045),
    (0.065, 0.105, 0.04),
    (0.16, 0.165, 0.05),
    (0.17, 0.13, 0.045),
)
_BARKS = ((0.1, 0.08, 0.06), (0.16, 0.14, 0.12), (0.07, 0.055, 0.045))


def leaves(rng: np.random.Generator, turning: bool = True) -> Material:
    """Some plant's foliage; a tree's may be turning brown."""
    color = np.array(GREENS[rng.integers(len(GREENS) - (not turning))]) * rng.uniform(0.8, 1.25)
    return Material(tuple(color), Texture.LEAVES, 1.1, tuple(color * 0.55), seed=int(rng.integers(64)))


def foliage(
    centers: np.ndarray, radii: np.ndarray, count: int, size: float, rng: np.random.Generator, upper: float = 0.8
) -> np.ndarray:
    """``count`` ragged leaf clumps (Nx3x3 corners) on the skins of blobs: Bx3 centres, Bx3 radii, in metres.

    ``upper`` is the share of clumps on the blobs' upper halves.
    """
    area = radii.prod(axis=1) ** (2 / 3)
    blob = rng.choice(len(centers), count, p=area / area.sum())
    direction = rng.normal(size=(count, 3))
    direction[:, 2] = np.abs(direction[:, 2]) * np.where(rng.random(count) < upper, 1, -1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    # Most clumps lie near the skin, some inside, a few stand out.
    depth = np.clip(1 - np.abs(rng.normal(0, 0.22, (count, 1))) + 0.08, 0.2, 1.15)
    place = centers[blob] + direction * radii[blob] * depth
    # Each clump is a crooked triangle that faces outwards more or less.
    facing = direction + rng.normal(0, 0.55, (count, 3))
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    right = np.cross(facing, rng.normal(size=(count, 3)))
    right /= np.linalg.norm(right, axis=1, keepdims=True) + 1e-9
    up = np.cross(facing, right)
    turns = rng.uniform(0, 2 * np.pi, (count, 1)) + np.array([0, 2.1, 4.2]) + rng.normal(0, 0.35, (count, 3))
    reach = size * rng.uniform(0.5, 1.3, (count, 3))
    corners = place[:, None] + (np.cos(turns) * reach)[..., None] * right[:, None]
    return corners + (np.sin(turns) * reach)[..., None] * up[:, None]


def tree(height: float, spread: float, detail: float, rng: np.random.Generator, slim: bool = False) -> Mesh:
    """A tree at the origin: metres high, crown of ``spread`` metres radius; ``detail`` 1 = seen from near."""
    trunk = height * (0.16 if slim else rng.uniform(0.26, 0.36))
    blobs = max(4, int(11 * detail**0.5))
    golden = np.arange(blobs) * 2.4 + rng.uniform(0, 6)
    level = rng.permutation(np.linspace(0.08, 0.95, blobs))
    girth = np.sin(np.pi * np.clip(level, 0.16, 0.9)) * (0.75 if slim else 1.0)
    out = spread * 0.62 * girth * rng.uniform(0.6, 1.1, blobs)
    centers = np.stack(
        [np.cos(golden) * out, np.sin(golden) * out, trunk + (height - trunk) * (0.1 + 0.78 * level)], axis=1
    )
    radii = spread * rng.uniform(0.34, 0.55, (blobs, 1)) * np.array([1, 1, 0.85])
    count = int(460 * detail * (0.5 + 0.1 * height)) + 35
    size = 0.36 * spread**0.5 * detail**-0.2
    crown = triangles(foliage(centers, radii, count, size, rng), leaves(rng))
    bark = Material(_BARKS[rng.integers(len(_BARKS))], Texture.BARK, 0.3, seed=int(rng.integers(64)))
    thick = 0.013 * height + 0.04
    lean = rng.normal(0, 0.01 * height, 2)
    stem = np.array([(0, 0, -0.2), (0, 0, 0.3), (*lean, trunk), (*lean * 1.5, trunk + 0.55 * (height - trunk))])
    wood = [tubes(stem[None], np.array([1.4, 1.05, 0.8, 0.25]) * thick, bark, 7)]
    if detail > 0.3:
        ends = centers[: max(3, blobs // 2)]
        start = np.broadcast_to((*lean, trunk * 0.95), ends.shape)
        bend = 0.5 * (start + ends) + np.array([0, 0, -0.05 * height])
        limbs = np.stack([start, bend, ends], axis=1)
        wood.append(tubes(limbs, np.array([0.5, 0.35, 0.12]) * thick, bark, 4))
    return joined([crown, *wood])


def bush(size: np.ndarray, detail: float, rng: np.random.Generator) -> Mesh:
    """A bush or a piece of hedge on the ground that fills about a box of ``size`` (3) metres."""
    blobs = max(2, int(2 * size[0] * size[1] ** 0.5 + 1))
    centers = rng.uniform(-0.32, 0.32, (blobs, 3)) * size + np.array([0, 0, 0.38 * size[2]])
    radii = np.broadcast_to(np.minimum(size * 0.5, 0.75 * size.min() + 0.2), (blobs, 3)) * rng.uniform(
        0.6, 1.0, (blobs, 1)
    )
    area = size[0] * size[1] + 2 * size[2] * (size[0] + size[1])
    clumps = foliage(centers, radii, int(17 * detail * area) + 14, 0.27 * detail**-0.4, rng, 0.6)
    return triangles(clumps, leaves(rng, turning=False))


def hedge(length: float, height: float, width: float, detail: float, green: Material, rng: np.random.Generator) -> Mesh:
    """A cut hedge along x from the origin: a leafy core with clumps standing out."""
    count = max(2, int(length / 0.5))
    x = np.linspace(0, length, count + 1)
    wobble = rng.normal(0, 0.05, (4, count + 1))
    ring = np.stack(
        [
            np.stack([x, -width / 2 + wobble[0], np.zeros_like(x)], 1),
            np.stack([x, -width / 2 + 0.05 + wobble[1], height * 0.95 + wobble[2]], 1),
            np.stack([x, width / 2 - 0.05 + wobble[1], height * 0.95 + wobble[3]], 1),
            np.stack([x, width / 2 + wobble[0], np.zeros_like(x)], 1),
        ]
    )
    sides = [np.stack([ring[k, :-1], ring[k, 1:], ring[k + 1, 1:], ring[k + 1, :-1]], axis=1) for k in range(3)]
    ends = np.stack([ring[[3, 0, 0, 0], 0] * 0 + ring[[3, 2, 1, 0], 0][::1], ring[[0, 1, 2, 3], -1]])
    # The core is opaque: leaves have gaps between them.
    inner = Material(tuple(0.75 * c for c in green.color), Texture.GRASS, 0.3, seed=green.seed)
    core = quads(np.concatenate([*sides, ends]), inner)
    clumps = int(16 * detail * length * (2 * height + width))
    corner = np.array([length, width, height])
    place = rng.uniform(0, 1, (clumps, 3)) * corner - np.array([0, width / 2, 0])
    face = rng.choice(3, clumps, p=np.array([height, height, width]) / (2 * height + width))
    place[face == 0, 1], place[face == 1, 1], place[face == 2, 2] = -width / 2, width / 2, height * 0.97
    out = np.select([face[:, None] == 0, face[:, None] == 1], [(0, -1.0, 0), (0, 1.0, 0)], (0, 0, 1.0))
    corners = foliage(place, np.full((clumps, 3), 0.05), clumps, 0.19 * detail**-0.3, rng) + 0 * out[:, None]
    return joined([core, triangles(corners, green)])


def planted(mesh: Mesh, x: float, y: float, z: float, yaw: float, size: float = 1.0) -> Mesh:
    """A plant put in the world, turned and scaled; its texture starts somewhere else each time."""
    moved = mesh.moved(pose(x, y, z, yaw) @ np.diag([size, size, size, 1.0]))
    return with_rest(moved, mesh.rest * size + np.array([x, y, 0.0]) % 17.0)


class Nursery:
    """A few plants of each kind, grown once and planted many times."""

    def __init__(self, rng: np.random.Generator, kinds: int = 4) -> None:
        self._rng = rng
        self._shapes = [
            (rng.uniform(6.5, 10.5), rng.uniform(0.3, 0.42), bool(rng.random() < 0.15)) for _ in range(kinds)
        ]
        self._grown: dict[tuple[int, float], Mesh] = {}

    def tree(
        self,
        parts: Parts,
        place: tuple[float, float, float],
        detail: float,
        size: float = 1.0,
        kind: int = -1,
        clear: float = 2.4,
    ) -> None:
        """Plants a tree.

        Args:
            parts: where it is added.
            place: x, y, z of its foot.
            detail: 1 near the road, less further away.
            size: factor on its height.
            kind: which of the shapes; -1 = any.
            clear: metres above the foot below which twigs have been cut off.
        """
        rng = self._rng
        kind = int(rng.integers(len(self._shapes))) if kind < 0 else kind % len(self._shapes)
        detail = float(min(_DETAILS, key=lambda level: abs(np.log(level / detail))))
        if (kind, detail) not in self._grown:
            height, share, slim = self._shapes[kind]
            spread = height * share * (0.55 if slim else 1.0)
            own = np.random.default_rng([kind, int(detail * 100)])
            self._grown[kind, detail] = tree(height, spread, detail, own, slim)
        size *= rng.uniform(0.8, 1.2)
        mesh = planted(self._grown[kind, detail], *place, rng.uniform(0, 6.28), size)
        parts.add(VEGETATION, pruned(mesh, place, clear) if detail > _DETAILS[-1] else mesh)


def pruned(mesh: Mesh, place: tuple[float, float, float], clear: float) -> Mesh:
    """A tree without what hangs lower than ``clear`` metres above its foot, but for the trunk."""
    low = mesh.vertices[:, 2] < place[2] + clear
    out = np.hypot(mesh.vertices[:, 0] - place[0], mesh.vertices[:, 1] - place[1]) > 0.3
    keep = ~(low & out)[mesh.faces].any(axis=1)
    return replace(mesh, faces=mesh.faces[keep], face_materials=mesh.face_materials[keep], smooth=mesh.smooth[keep])
