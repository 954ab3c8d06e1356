"""Traffic signs and traffic lights on their poles; at the origin they face traffic that drives along +x."""

import numpy as np

from mapt_ros.synthetic.furniture import STEEL, posts
from mapt_ros.synthetic.mesh import Material, Mesh, Texture, joined, pose
from mapt_ros.synthetic.shapes import boxes, quads, triangles, tubes

TRAFFIC_LIGHT, TRAFFIC_SIGN = 6, 7

_WHITE = Material((0.68, 0.68, 0.67), Texture.PLAIN, gloss=0.02)
_RED = Material((0.5, 0.025, 0.03), Texture.PLAIN, gloss=0.02)
_BLUE = Material((0.02, 0.09, 0.36), Texture.PLAIN, gloss=0.02)
_YELLOW = Material((0.7, 0.42, 0.02), Texture.PLAIN, gloss=0.02)
_BLACK = Material((0.02, 0.02, 0.02), Texture.PLAIN, gloss=0.02)
_GREY = Material((0.24, 0.25, 0.26), Texture.PLAIN, gloss=0.02)

_HOUSING = Material((0.022, 0.026, 0.024), Texture.PLAIN, gloss=0.02)

KINDS = (
    "limit",
    "no parking",
    "priority",
    "give way",
    "warning",
    "direction",
    "parking",
    "crossing",
    "no entry",
    "way",
)


def _disc(radius: float, corners: int = 18, turn: float = 0.0) -> np.ndarray:
    angles = np.arange(corners) * 2 * np.pi / corners + turn
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _box(width: float, height: float) -> np.ndarray:
    return np.array([(-width, -height), (width, -height), (width, height), (-width, height)]) / 2


def _facing(outline: np.ndarray, z: float, layer: int, material: Material) -> Mesh:
    """A convex outline (Nx2: right, up as seen by the driver) at height ``z``; higher layers lie in front."""
    points = np.stack([np.full(len(outline), -0.045 - 0.006 * layer), -outline[:, 0], z + outline[:, 1]], axis=1)
    fan = np.stack([np.broadcast_to(points[0], points[2:].shape), points[1:-1], points[2:]], axis=1)
    return triangles(fan, material)


def _back(outline: np.ndarray, z: float) -> Mesh:
    """The sheet's grey back."""
    points = np.stack([np.full(len(outline), -0.038), -outline[:, 0], z + outline[:, 1]], axis=1)[::-1]
    return triangles(np.stack([np.broadcast_to(points[0], points[2:].shape), points[1:-1], points[2:]], axis=1), _GREY)


def _digits(count: int, z: float, size: float, layer: int, material: Material) -> list[Mesh]:
    """Something that looks like figures from afar."""
    meshes = []
    for k in range(count):
        middle = (k - (count - 1) / 2) * 0.75 * size
        for dx, dz, w, h in (
            (0, 0.42, 0.5, 0.18),
            (0, -0.42, 0.5, 0.18),
            (0.18, 0, 0.17, 0.8),
            (-0.16, 0.2, 0.16, 0.4),
        ):
            outline = _box(w * size, h * size) + np.array([middle + dx * size, dz * size])
            meshes.append(_facing(outline, z, layer, material))
    return meshes


def sign_face(kind: str, z: float, rng: np.random.Generator) -> Mesh:
    """The sheet of a sign with its middle at height ``z``."""
    if kind == "limit":
        shape = _disc(0.3)
        faces = [_facing(shape, z, 0, _RED), _facing(0.76 * shape, z, 1, _WHITE), *_digits(2, z, 0.22, 2, _BLACK)]
    elif kind == "no parking":
        shape = _disc(0.3)
        faces = [_facing(shape, z, 0, _RED), _facing(0.8 * shape, z, 1, _BLUE)]
        for angle in (0.25, 0.75) if rng.random() < 0.5 else (0.75,):
            c, s = np.cos(np.pi * angle), np.sin(np.pi * angle)
            faces.append(_facing(_box(0.5, 0.06) @ np.array([(c, s), (-s, c)]), z, 2, _RED))
    elif kind == "priority":
        shape = _disc(0.42, 4)
        faces = [_facing(shape, z, 0, _WHITE), _facing(0.68 * shape, z, 1, _YELLOW)]
    elif kind == "give way":
        shape = _disc(0.5, 3, -np.pi / 2)
        faces = [_facing(shape, z, 0, _RED), _facing(0.62 * shape, z, 1, _WHITE)]
    elif kind == "warning":
        shape = _disc(0.5, 3, np.pi / 2)
        faces = [_facing(shape, z, 0, _RED), _facing(0.66 * shape, z, 1, _WHITE)]
        faces += [_facing(_box(0.07, 0.28), z, 2, _BLACK)]
    elif kind == "direction":
        wide = rng.uniform(1.3, 2.2)
        back, text = ((_YELLOW, _BLACK), (_BLUE, _WHITE), (_WHITE, _BLACK))[rng.choice(3, p=[0.6, 0.25, 0.15])]
        shape = _box(wide, 0.45 + 0.35 * (rng.random() < 0.5))
        faces = [_facing(shape, z, 0, text), _facing(shape - 0.03 * np.sign(shape), z, 1, back)]
        for row in np.arange(shape[:, 1].min() + 0.2, shape[:, 1].max(), 0.34):
            letters = np.arange(-0.4 * wide, rng.uniform(0.1, 0.35) * wide, 0.14)
            faces += [_facing(_box(0.09, rng.uniform(0.1, 0.16)) + (x, row), z, 2, text) for x in letters]
    elif kind == "parking":
        shape = _box(0.6, 0.6)
        faces = [_facing(shape, z, 0, _WHITE), _facing(0.94 * shape, z, 1, _BLUE)]
        faces += [
            _facing(_box(0.08, 0.4) + (-0.1, 0), z, 2, _WHITE),
            _facing(_box(0.22, 0.22) + (0.05, 0.09), z, 2, _WHITE),
        ]
    elif kind == "crossing":
        shape = _box(0.6, 0.6)
        faces = [_facing(shape, z, 0, _BLUE), _facing(_disc(0.25, 3, np.pi / 2), z, 1, _WHITE)]
        faces += [_facing(_box(0.08, 0.2), z - 0.02, 2, _BLACK)]
    elif kind == "no entry":
        shape = _disc(0.3)
        faces = [_facing(shape, z, 0, _RED), _facing(_box(0.44, 0.11), z, 1, _WHITE)]
    else:
        shape = _disc(0.3)
        faces = [_facing(shape, z, 0, _BLUE), _facing(_box(0.07, 0.34), z, 1, _WHITE)]
        faces += [_facing(_disc(0.12, 3, np.pi / 2) + (0, 0.14), z, 1, _WHITE)]
    return joined([*faces, _back(shape, z)])


def sign(kinds: tuple[str, ...], height: float, rng: np.random.Generator) -> tuple[Mesh, Mesh]:
    """Poles and sheets of one or several signs above each other; the lowest sheet's middle is at ``height``."""
    faces, z = [], height
    for kind in kinds:
        faces.append(sign_face(kind, z, rng))
        z += 0.95 if kind in ("direction", "give way", "warning") else 0.75
    sheet = joined(faces)
    wide = float(np.ptp(sheet.vertices[:, 1]))
    y = (-0.35 * wide, 0.35 * wide) if wide > 1.2 else (0.0,)
    places = np.array([(0.0, v, 0.0) for v in y])
    return posts(places, float(sheet.vertices[:, 2].max()) - 0.05, 0.038, STEEL), sheet


def signal(lit: str, z: float, small: bool = False) -> Mesh:
    """The box of a traffic light with its middle at height ``z``; ``lit`` is "red", "amber" or "green"."""
    lamps = ("red", "green") if small else ("red", "amber", "green")
    size = 0.24 if small else 0.3
    half = 0.5 * size * len(lamps)
    low = np.array([-0.12, -size / 2, z - half])
    meshes = [boxes(low, low + np.array([0.24, size, 2 * half]), _HOUSING, bottom=True)]
    colors = {"red": (1.0, 0.06, 0.03), "amber": (1.0, 0.45, 0.03), "green": (0.08, 0.9, 0.45)}
    disc = _disc(0.36 * size, 12)
    for k, lamp in enumerate(lamps):
        height = z + half - (k + 0.5) * size
        color = np.array(colors[lamp])
        if lamp == lit:
            glow = Material(tuple(color), Texture.PLAIN, emission=1.6)
        else:
            glow = Material(tuple(0.06 * color + 0.012), Texture.PLAIN, gloss=0.04)
        points = np.stack([np.full(len(disc), -0.125), -disc[:, 0], height + disc[:, 1]], axis=1)
        meshes.append(
            triangles(np.stack([np.broadcast_to(points[0], points[2:].shape), points[1:-1], points[2:]], 1), glow)
        )
        # A visor above the lamp.
        w, top = 0.42 * size, height + 0.4 * size
        lid = [(-0.12, -w, top), (-0.3, -0.8 * w, top - 0.03), (-0.3, 0.8 * w, top - 0.03), (-0.12, w, top)]
        side = [
            [(-0.12, s * w, top), (-0.3, s * 0.8 * w, top - 0.03), (-0.12, s * w, height - 0.2 * size)] for s in (-1, 1)
        ]
        meshes += [quads(np.array([lid]), _HOUSING), triangles(np.array(side), _HOUSING)]
    return joined(meshes)


def traffic_light(lit: str, arm: float, rng: np.random.Generator) -> tuple[Mesh, Mesh]:
    """Pole and lights; with an ``arm`` of that many metres to the left a second light hangs over the road."""
    tall = 6.0 if arm else 3.3
    path = [(0.22, 0, -0.1), (0.22, 0, tall)]
    pole = [tubes(np.array(path)[None], 0.075 if not arm else 0.1, STEEL, 7)]
    stub = np.array([(0.05, -0.05, 2.3), (0.05, -0.05, 3.0)])
    pole.append(boxes(stub, stub + np.array([0.2, 0.1, 0.06]), STEEL, bottom=True))
    lights = [signal(lit, 2.65)]
    if arm:
        beam = np.array([(0.22, 0, tall - 0.5), (0.22, 0.3 * arm, tall - 0.1), (0.22, arm, tall)])
        pole.append(tubes(beam[None], np.array([0.09, 0.075, 0.055]), STEEL, 6))
        lights.append(signal(lit, tall - 0.25).moved(pose(0.0, arm - 0.3)))
        shape = _box(0.55, 1.15)
        lights.append(_facing(shape, 0, 0, _BLACK).moved(pose(0.14, arm - 0.3, tall - 0.25)))
    elif rng.random() < 0.6:
        beside = signal("red" if lit == "green" else "green", 2.3, small=True)
        lights.append(beside.moved(pose(0.0, 0.0, yaw=np.pi / 2) @ pose(-0.1, -0.22)))
    return joined(pole), joined(lights)
