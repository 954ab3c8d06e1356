"""Things on posts and barriers beside the road: lamps, bollards, fences, walls, bus stops and bridges across it."""

import numpy as np

from mapt_ros.synthetic.mesh import GAP, Material, Mesh, Texture, joined
from mapt_ros.synthetic.shapes import boxes, quads, tubes

WALL, FENCE, POLE = 3, 4, 5

STEEL = Material((0.3, 0.31, 0.32), Texture.PLAIN, gloss=0.05)
_DARK = Material((0.05, 0.055, 0.06), Texture.PLAIN, gloss=0.04)


def lamp_post(height: float, arm: float, kind: int) -> Mesh:
    """A street lamp at the origin; kind 0 bends over to a head ``arm`` metres along y, 1 carries a lantern on top."""
    metal = STEEL if kind == 0 else _DARK
    if kind == 0:
        path = [(0, 0, -0.1), (0, 0, 1.0), (0, 0, height - 0.6), (0, 0.25 * arm, height - 0.1), (0, arm, height)]
        post = tubes(np.array(path)[None], np.array([0.11, 0.09, 0.07, 0.055, 0.05]), metal, 6)
        low = np.array([-0.14, min(arm, arm + np.sign(arm) * 0.7), height - 0.07])
        return joined([post, boxes(low, low + (0.28, 0.7, 0.14), metal, bottom=True)])
    path = np.array([(0, 0, -0.1), (0, 0, 0.9), (0, 0, 0.95), (0, 0, height)])
    post = tubes(path[None], np.array([0.1, 0.1, 0.075, 0.07]), metal, 6)
    head = tubes(np.array([(0, 0, height - 0.05), (0, 0, height + 0.5)])[None], np.array([0.14, 0.22]), _GLOBE, 6)
    lid = tubes(np.array([(0, 0, height + 0.5), (0, 0, height + 0.62)])[None], np.array([0.32, 0.04]), metal, 6)
    return joined([post, head, lid])


_GLOBE = Material((0.6, 0.58, 0.5), Texture.PLAIN, gloss=0.05)


def posts(places: np.ndarray, height: float, radius: float, material: Material) -> Mesh:
    """Upright posts at Nx3 places."""
    path = np.asarray(places, dtype=np.float64)[:, None] + np.array([(0, 0, -0.1), (0, 0, height)])
    lids = boxes(
        places + np.array([-radius, -radius, height - 0.01]) * 0.98,
        places + np.array([radius * 0.98, radius * 0.98, height + 0.02]),
        material,
    )
    return joined([tubes(path, radius, material, 6), lids])


def delineator(places: np.ndarray, yaw: np.ndarray) -> list[Mesh]:
    """The white posts with a black band and a reflector beside country roads."""
    white, black = Material((0.65, 0.65, 0.63)), Material((0.03, 0.03, 0.03))
    turn = np.stack([np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)], axis=1)
    band = places + np.array([0, 0, 0.68])
    path = band[:, None] + np.array([(0, 0, 0), (0, 0, 0.2)])
    reflector = band - 0.09 * turn + np.array([0, 0, 0.02])
    return [
        tubes(places[:, None] + np.array([(0, 0, -0.1), (0, 0, 1.0)]), 0.06, white, 5),
        tubes(path, 0.068, black, 5),
        tubes(np.stack([reflector, reflector + np.array([0, 0, 0.15])], axis=1), 0.025, Material((0.6, 0.6, 0.6)), 4),
    ]


def railing(line: np.ndarray, height: float, kind: int, rng: np.random.Generator) -> Mesh:
    """A fence along Kx3 points: 0 upright pickets, 1 rails on posts, 2 wire mesh on posts, 3 boards, 4 crash barrier.

    What is seen between pickets, wires or the barrier's bands is labelled as the fence; between a railing's two rails one sees
    what is behind.
    """
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])

    def at(s: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(s, along, line[:, k]) for k in range(3)], axis=1)

    def band(s: np.ndarray, low: float, high: float, width: float, material: Material) -> Mesh:
        """Flat boards of a width, seen from both sides."""
        a, b = at(s - width / 2), at(s + width / 2)
        up0, up1 = np.array([0, 0, low]), np.array([0, 0, high])
        return quads(np.stack([a + up0, b + up0, b + up1, a + up1], axis=1), material)

    def rail(z: float, thick: float, material: Material) -> Mesh:
        return tubes(
            (at(np.linspace(0, along[-1], max(2, int(along[-1] / 2.5) + 1))) + (0, 0, z))[None], thick, material, 4
        )

    def gaps(low: float, high: float) -> Mesh:
        """All that lies between the ends of a fence's bars."""
        s = np.linspace(0, along[-1], max(2, int(along[-1] / 2) + 1))
        return band(0.5 * (s[1:] + s[:-1]), low, high, s[1], GAP)

    step = {0: 2.2, 1: 2.0, 2: 2.5, 3: 2.0, 4: 2.0}[kind]
    stands = at(np.linspace(0, along[-1], max(2, int(along[-1] / step) + 1)))
    if kind == 0:
        tone = [(0.12, 0.07, 0.04), (0.55, 0.54, 0.5), (0.06, 0.09, 0.07), (0.25, 0.18, 0.11)][rng.integers(4)]
        wood = Material(tone, Texture.PLAIN)
        pickets = band(np.arange(0.06, along[-1], 0.14), 0.08, height, 0.085, wood)
        return joined(
            [pickets, rail(0.3, 0.035, wood), rail(height - 0.2, 0.035, wood), posts(stands, height, 0.05, wood)]
            + [gaps(0.08, height)]
        )
    if kind == 1:
        return joined(
            [posts(stands, height, 0.035, STEEL), rail(height, 0.03, STEEL), rail(0.5 * height, 0.025, STEEL)]
        )
    if kind == 2:
        green = Material([(0.03, 0.09, 0.05), (0.25, 0.26, 0.26), (0.05, 0.05, 0.055)][rng.integers(3)], Texture.PLAIN)
        wires = [rail(z, 0.012, green) for z in np.arange(0.1, height, 0.2)]
        bars = band(np.arange(0.1, along[-1], 0.12), 0.06, height, 0.022, green)
        return joined([posts(stands, height + 0.03, 0.035, green), bars, *wires[::2], gaps(0.06, height)])
    if kind == 3:
        tone = np.array([(0.2, 0.12, 0.07), (0.3, 0.24, 0.17), (0.3, 0.3, 0.29)][rng.integers(3)])
        boards = Material(tuple(tone), Texture.FENCE, 0.14, tuple(0.6 * tone))
        s = np.linspace(0, along[-1], max(2, int(along[-1] / 2) + 1))
        width = s[1] - s[0]
        return joined(
            [band(0.5 * (s[1:] + s[:-1]), 0.04, height, width, boards), posts(stands, height + 0.08, 0.055, boards)]
        )
    zinc = Material((0.42, 0.43, 0.44), Texture.PLAIN, gloss=0.06)
    s = np.linspace(0, along[-1], max(2, int(along[-1] / 2) + 1))
    width = s[1] - s[0]
    middles = 0.5 * (s[1:] + s[:-1])
    return joined(
        [
            posts(stands, 0.7, 0.05, zinc),
            band(middles, 0.44, 0.55, width, zinc),
            band(middles, 0.64, 0.75, width, zinc),
            rail(0.6, 0.05, zinc),
            gaps(0.55, 0.64),
        ]
    )


def garden_wall(line: np.ndarray, height: float, rng: np.random.Generator) -> Mesh:
    """A wall with a coping along Kx3 points."""
    kind = rng.integers(4)
    tone = np.array([(0.27, 0.12, 0.08), (0.36, 0.34, 0.31), (0.5, 0.46, 0.4), (0.3, 0.24, 0.19)][kind])
    texture = [Texture.BRICK, Texture.CONCRETE, Texture.PLASTER, Texture.BRICK][kind]
    stone = Material(tuple(tone * rng.uniform(0.8, 1.2)), texture, [0.24, 2.0, 1.5, 0.5][kind])
    coping = Material(tuple(np.array([0.33, 0.32, 0.3]) * rng.uniform(0.7, 1.3)), Texture.CONCRETE, 1.0)
    return joined([slab_along(line, 0.24, -0.5, height, stone), slab_along(line, 0.34, height, height + 0.08, coping)])


def slab_along(line: np.ndarray, width: float, low: float, high: float, material: Material) -> Mesh:
    """An upright slab of some width along Kx3 points, between two heights above them; its texture runs along it."""
    step = np.gradient(line[:, :2], axis=0)
    step /= np.linalg.norm(step, axis=1, keepdims=True) + 1e-9
    out = np.stack([-step[:, 1], step[:, 0], np.zeros(len(line))], axis=1) * width / 2
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    up0, up1 = np.array([0, 0, low]), np.array([0, 0, high])
    corners, rests = [], []

    def band(a: np.ndarray, b: np.ndarray, rest_a: tuple[float, float], rest_b: tuple[float, float]) -> None:
        corners.append(np.stack([a[:-1], a[1:], b[1:], b[:-1]], axis=1))
        ra, rb = (np.stack([along, np.full_like(along, r[0]), np.full_like(along, r[1])], 1) for r in (rest_a, rest_b))
        rests.append(np.stack([ra[:-1], ra[1:], rb[1:], rb[:-1]], axis=1))

    left, right = line + out, line - out
    band(right + up0, right + up1, (-width / 2, low), (-width / 2, high))
    band(right + up1, left + up1, (-width / 2, high), (width / 2, high))
    band(left + up1, left + up0, (width / 2, high), (width / 2, low))
    for k in (0, -1):
        ends = np.array([left[k] + up0, right[k] + up0, right[k] + up1, left[k] + up1])
        rest = np.array([(0, 0, low), (0, width, low), (0, width, high), (0, 0, high)])
        corners.append((ends if k == 0 else ends[::-1])[None])
        rests.append((rest if k == 0 else rest[::-1])[None])
    return quads(np.concatenate(corners), material, np.concatenate(rests))


def bus_shelter(length: float, rng: np.random.Generator) -> Mesh:
    """A shelter along x from the origin, open to -y, 1.5 m deep; its glass is so clear that only the frame is there."""
    ends = np.array([(0, 0.0), (length, 0.0), (0, 1.4), (length, 1.4), (length / 2, 1.4)])
    stands = np.concatenate([ends, np.zeros((5, 1))], axis=1)
    pillars = boxes(stands - [0.04, 0.04, 0.1], stands + [0.04, 0.04, 2.35], _DARK)
    z = np.array([0.25, 1.1, 2.15])
    low = np.stack([np.zeros(3), np.full(3, 1.38), z], axis=1)
    rails = boxes(low, low + np.array([length, 0.04, 0.05]), _DARK, bottom=True)
    poster = Material(tuple(rng.uniform(0.15, 0.6) * rng.uniform(0.7, 1.0, 3)), Texture.PLAIN, gloss=0.04)
    panel = boxes(np.array([0.02, 0.1, 0.3]), np.array([0.12, 1.3, 2.1]), poster, bottom=True)
    roof = boxes(np.array([-0.2, -0.3, 2.35]), np.array([length + 0.2, 1.55, 2.5]), _DARK, bottom=True)
    bench = boxes(np.array([0.5, 1.0, 0.45]), np.array([length - 0.7, 1.3, 0.52]), _DARK, bottom=True)
    return joined([pillars, rails, panel, roof, bench])


def bridge(stands: np.ndarray, width: float, clear: float, reach: float, rng: np.random.Generator) -> tuple[Mesh, Mesh]:
    """A bridge along y over the origin, ``clear`` metres above it: deck and piers, and its railing.

    It goes on for ``reach`` metres each way and has piers at ``stands`` metres along it.
    """
    tone = np.array([0.34, 0.33, 0.31]) * rng.uniform(0.6, 1.2)
    stone = Material(tuple(tone), Texture.CONCRETE, 3.0, seed=int(rng.integers(16)))
    rise = 0.8
    y = np.linspace(-reach, reach, 17)
    z = clear + rise * (1 - (y / reach) ** 2) * 0.6
    deck = np.stack([np.zeros_like(y), y, z], axis=1)
    thick = rng.uniform(0.7, 1.2)
    meshes = [slab_along(deck, width, 0.15, thick, stone), slab_along(deck, 0.6 * width, -0.35, 0.2, stone)]
    for side in (-1, 1):
        edge = deck + np.array([side * (width / 2 + 0.1), 0, 0])
        meshes.append(slab_along(edge, 0.3, thick - 0.55, thick + 0.25, stone))
    # The underside, which one sees when driving below.
    a, b = deck[:-1] + [0, 0, -0.35], deck[1:] + [0, 0, -0.35]
    half = np.array([0.3 * width, 0, 0])
    meshes.append(quads(np.stack([a + half, a - half, b - half, b + half], axis=1), stone))
    a, b, half = a + [0, 0, 0.5], b + [0, 0, 0.5], half / 0.6
    meshes.append(quads(np.stack([a + half, a - half, b - half, b + half], axis=1), stone))
    x = np.array([-0.2, 0.2]) * width
    piers = np.array([(px, py, 0.0) for px in x for py in stands])
    path = piers[:, None] + np.array([(0, 0, -1.5), (0, 0, clear + 0.2)])
    meshes.append(tubes(path, rng.uniform(0.3, 0.5), stone, 10))
    rails = []
    for side in (-1, 1):
        edge = deck + np.array([side * (width / 2), 0, thick + 0.2])
        rails.append(railing(edge, 0.95, 2 if rng.random() < 0.6 else 1, rng))
    return joined(meshes), joined(rails)
