"""Facades: walls with rows of inset windows, frames, sills, shutters, doors, shop fronts and balconies."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.synthetic.mesh import Material, Mesh, Texture, joined
from mapt_ros.synthetic.shapes import boxes, quads

# Linear albedos of plaster and render as German towns wear them, and of brick and concrete.
_PLASTERS = (
    (0.62, 0.55, 0.42),
    (0.66, 0.64, 0.6),
    (0.55, 0.5, 0.44),
    (0.48, 0.47, 0.45),
    (0.6, 0.48, 0.26),
    (0.55, 0.36, 0.24),
    (0.4, 0.2, 0.13),
    (0.36, 0.3, 0.24),
    (0.44, 0.47, 0.38),
    (0.42, 0.46, 0.5),
    (0.58, 0.52, 0.34),
    (0.28, 0.27, 0.26),
)
_BRICKS = ((0.27, 0.115, 0.075), (0.22, 0.09, 0.07), (0.33, 0.2, 0.13), (0.4, 0.33, 0.24))
_SHUTTERS = ((0.06, 0.12, 0.07), (0.14, 0.07, 0.04), (0.3, 0.29, 0.27), (0.05, 0.08, 0.14))
_SIGNS = (
    (0.45, 0.05, 0.04),
    (0.06, 0.12, 0.35),
    (0.5, 0.38, 0.05),
    (0.08, 0.22, 0.1),
    (0.05, 0.05, 0.05),
    (0.6, 0.6, 0.58),
)


@dataclass(frozen=True)
class Look:
    """What a building's walls have in common.

    Attributes:
        wall, trim, ground, frame: materials of the walls, of ledges and surrounds, of the base, of window frames.
        panes: materials seen in windows: glass, and curtains or blinds behind it.
        shutter: material of shutters beside the windows; None = none.
        surround: whether windows have a surround in the trim's colour.
        window: width and height of a window.
        pitch: from one window's middle to the next.
        storey, base, sill: heights of a storey, of the base, and of the sill above the storey's floor.
        reveal: how deep windows lie in the wall.
        blinds: share of windows with a roller blind let down some way.
        mullions: upright bars a window.
    """

    wall: Material
    trim: Material
    ground: Material
    frame: Material
    panes: tuple[Material, ...]
    shutter: Material | None
    surround: bool
    window: tuple[float, float]
    pitch: float
    storey: float
    base: float
    sill: float
    reveal: float
    blinds: float
    mullions: int


@dataclass(frozen=True)
class Facade:
    """One wall of a building: ``width`` along x from the origin, looking to -y, up to ``eaves``.

    ``shops`` and ``door`` tell what is on the ground floor, ``balconies`` how many of the windows' columns have some.
    """

    width: float
    floors: int
    eaves: float
    shops: bool
    door: bool
    balconies: float
    rich: bool


def draw_look(rng: np.random.Generator, modern: bool) -> Look:
    """A random look; modern walls are paler with wider windows."""
    kind = rng.choice(["plaster", "brick", "concrete"], p=[0.62, 0.1, 0.28] if modern else [0.8, 0.19, 0.01])
    jitter = rng.uniform(0.75, 1.1) * (1 + rng.normal(0, 0.03, 3))
    seed = int(rng.integers(16))
    if kind == "plaster":
        color = np.array(_PLASTERS[rng.integers(len(_PLASTERS))]) * jitter
        wall = Material(tuple(color), Texture.PLASTER, 1.5, seed=seed)
    elif kind == "brick":
        color = np.array(_BRICKS[rng.integers(len(_BRICKS))]) * jitter
        wall = Material(tuple(color), Texture.BRICK, 0.24, (0.3, 0.28, 0.26), seed=seed)
    else:
        wall = Material(tuple(np.array([0.4, 0.39, 0.37]) * jitter), Texture.CONCRETE, 2.8, seed=seed)
    pale = Material(tuple(np.array([0.62, 0.6, 0.56]) * rng.uniform(0.7, 1.0)), Texture.PLASTER, 1.5, seed=seed)
    stone = Material(tuple(np.array([0.3, 0.28, 0.26]) * rng.uniform(0.6, 1.2)), Texture.CONCRETE, 1.5, seed=seed)
    frames = ((0.7, 0.7, 0.68), (0.7, 0.7, 0.68), (0.12, 0.07, 0.04), (0.1, 0.1, 0.11))
    frame = Material(frames[rng.integers(len(frames))], gloss=0.02)
    glass = Material((0.02, 0.024, 0.03), gloss=0.06, glass=True)
    dim = Material((0.05, 0.05, 0.048), gloss=0.05, glass=True)
    curtain = Material((0.42, 0.41, 0.38), Texture.CLOTH, 0.4, gloss=0.04)
    shutter = None
    if not modern and rng.random() < 0.3:
        color = _SHUTTERS[rng.integers(len(_SHUTTERS))]
        shutter = Material(color, Texture.PLAIN)
    wide = rng.uniform(1.4, 2.4) if modern else rng.uniform(0.95, 1.25)
    window = (wide, rng.uniform(1.35, 1.6) if modern else rng.uniform(1.45, 1.95))
    return Look(
        wall,
        pale if rng.random() < 0.7 else wall,
        stone if rng.random() < 0.6 else wall,
        frame,
        (glass, glass, dim, curtain),
        shutter,
        bool(not modern and shutter is None and rng.random() < 0.5),
        window,
        wide + (rng.uniform(0.9, 1.5) if shutter is None else wide + rng.uniform(0.4, 0.8)),
        rng.uniform(2.75, 2.95) if modern else rng.uniform(2.9, 3.5),
        rng.uniform(0.3, 0.9),
        0.9,
        rng.uniform(0.1, 0.2),
        0.3 if rng.random() < 0.6 else 0.0,
        1 if wide < 1.5 else int(rng.integers(1, 3)),
    )


def front_mesh(facade: Facade, look: Look, rng: np.random.Generator) -> Mesh:
    """The mesh of a facade."""
    columns = max(1, int((facade.width - 0.8) / look.pitch))
    spacing = facade.width / columns
    middles = (np.arange(columns) + 0.5) * spacing
    left, right = middles - look.window[0] / 2, middles + look.window[0] / 2
    low = facade.eaves - 0.35 - look.storey * np.arange(facade.floors, 0, -1) + look.sill - 0.3
    rows = low[1:] if facade.shops else low
    high = rows + look.window[1]
    start = low[0] - look.sill + look.storey - 0.1 if facade.shops else -1.0
    meshes = [_pierced(0.0, facade.width, start, facade.eaves, left, right, rows, high, look.wall)]
    x0, z0 = (v.ravel() for v in np.meshgrid(left, rows, indexing="ij"))
    x1, z1 = (v.ravel() for v in np.meshgrid(right, high, indexing="ij"))
    meshes += _windows(x0, x1, z0, z1, look, facade.rich, rng)
    if facade.shops:
        meshes += _shops(facade.width, start, look, rng)
    elif facade.door:
        # Between two columns of windows, where there is wall.
        meshes += _door(max(1.0, spacing * (columns // 2)), look, rng)
    if not facade.shops:
        base = np.array([0, -0.03, -1.0])
        meshes.append(boxes(base, np.array([facade.width, 0.0, look.base]), look.ground))
    if facade.rich:
        meshes += _ledges(facade, look, start, rng)
    if facade.balconies > 0 and facade.floors > 1:
        meshes += _balconies(facade, look, middles, rows, spacing, rng)
    return joined([mesh for mesh in meshes if len(mesh.faces)])


def _rectangles(x0, x1, z0, z1, y, material: Material) -> Mesh:
    """Upright rectangles that look to -y; arguments broadcast to N."""
    x0, x1, z0, z1, y = (v.ravel() for v in np.broadcast_arrays(x0, x1, z0, z1, y))
    corners = np.stack(
        [np.stack([x0, y, z0], 1), np.stack([x1, y, z0], 1), np.stack([x1, y, z1], 1), np.stack([x0, y, z1], 1)], 1
    )
    return quads(corners, material)


def _pierced(x0, x1, z0, z1, left, right, low, high, material: Material) -> Mesh:
    """A wall with a grid of openings: piers of full height and the parts above and below the openings."""
    if not len(low):
        return _rectangles(x0, x1, z0, z1, 0.0, material)
    piers = _rectangles(np.append(x0, right), np.append(left, x1), z0, z1, 0.0, material)
    below, above = np.append(z0, high), np.append(low, z1)
    a, c = np.meshgrid(left, below, indexing="ij")
    b, d = np.meshgrid(right, above, indexing="ij")
    return joined([piers, _rectangles(a, b, c, d, 0.0, material)])


def _windows(x0, x1, z0, z1, look: Look, rich: bool, rng: np.random.Generator) -> list[Mesh]:
    """What fills openings of N rectangles."""
    if not len(x0):
        return []
    y = look.reveal if rich else 0.06
    zero = np.zeros_like(x0)
    edge = 0.07
    meshes = []
    # The wall's thickness around the opening: left, right, top, bottom.
    corner = [np.stack([a, b, c], 1) for a, c in ((x0, z0), (x1, z0), (x1, z1), (x0, z1)) for b in (zero, zero + y)]
    a0, a1, b0, b1, c0, c1, d0, d1 = corner
    sides = [(a0, a1, d1, d0), (b1, b0, c0, c1), (d0, d1, c1, c0), (a1, a0, b0, b1)]
    reveal = look.trim if look.surround else look.wall
    meshes.append(quads(np.concatenate([np.stack(side, axis=1) for side in sides]), reveal))
    frame = [
        (x0, x0 + edge, z0, z1),
        (x1 - edge, x1, z0, z1),
        (x0, x1, z0, z0 + edge),
        (x0, x1, z1 - edge, z1),
    ]
    for k in range(look.mullions):
        middle = x0 + (k + 1) / (look.mullions + 1) * (x1 - x0)
        frame.append((middle - 0.04, middle + 0.04, z0, z1))
    meshes.append(_rectangles(*(np.concatenate(v) for v in zip(*frame, strict=True)), y - 0.03, look.frame))
    pane = rng.choice(len(look.panes), len(x0), p=[0.45, 0.25, 0.18, 0.12])
    for k, material in enumerate(look.panes):
        which = pane == k
        meshes.append(_rectangles(x0[which], x1[which], z0[which], z1[which], y, material))
    down = np.flatnonzero(rng.random(len(x0)) < look.blinds)
    if len(down):
        share = rng.uniform(0.15, 0.9, len(down))
        blind = Material((0.5, 0.49, 0.46), Texture.PLAIN)
        bottom = z1[down] - share * (z1 - z0)[down]
        meshes.append(_rectangles(x0[down], x1[down], bottom, z1[down], y - 0.05, blind))
    if not rich:
        return meshes
    if look.surround:
        band = [(x0 - 0.14, x0, z0 - 0.1, z1 + 0.14), (x1, x1 + 0.14, z0 - 0.1, z1 + 0.14), (x0, x1, z1, z1 + 0.14)]
        meshes.append(_rectangles(*(np.concatenate(v) for v in zip(*band, strict=True)), -0.025, look.trim))
    sill = np.stack([x0 - 0.08, zero - 0.1, z0 - 0.07], axis=1)
    meshes.append(boxes(sill, np.stack([x1 + 0.08, zero + 0.02, z0], axis=1), look.trim))
    if look.shutter is not None:
        half = 0.48 * (x1 - x0)
        for x in (x0 - half - 0.02, x1 + 0.02):
            meshes.append(_rectangles(x, x + half, z0 - 0.02, z1 + 0.02, -0.04, look.shutter))
    return meshes


def _door(middle: float, look: Look, rng: np.random.Generator) -> list[Mesh]:
    """An entrance with a frame, a step and sometimes a small roof."""
    color = np.array([(0.13, 0.07, 0.04), (0.06, 0.09, 0.07), (0.3, 0.29, 0.28), (0.09, 0.1, 0.13)][rng.integers(4)])
    leaf = Material(tuple(color), Texture.PLAIN, gloss=0.02)
    low = min(look.base, 0.5)
    x = middle - 0.55
    step = np.array([x - 0.2, -0.45, -0.5])
    meshes = [
        _rectangles(x - 0.12, x + 1.22, low - 0.05, low + 2.35, -0.05, look.trim),
        _rectangles(x, x + 1.1, low, low + 2.2, -0.07, leaf),
        _rectangles(x + 0.3, x + 0.8, low + 1.1, low + 2.0, -0.08, look.panes[0]),
        boxes(step, np.array([x + 1.3, 0.0, low]), Material((0.3,) * 3, Texture.CONCRETE)),
    ]
    if rng.random() < 0.5:
        roof = np.array([x - 0.4, -0.4, low + 2.5])
        meshes.append(boxes(roof, roof + np.array([1.9, 0.4, 0.1]), look.trim, bottom=True))
    return meshes


def _shops(width: float, top: float, look: Look, rng: np.random.Generator) -> list[Mesh]:
    """A ground floor of shop windows under signs, between piers, some with awnings."""
    count = max(1, round(width / rng.uniform(3.6, 5.5)))
    edges = np.linspace(0, width, count + 1)
    left, right = edges[:-1] + 0.22, edges[1:] - 0.22
    head = min(top - 0.75, 3.0)
    stone = look.ground
    meshes = [_pierced(0.0, width, -1.0, top, left, right, np.array([0.12]), np.array([head]), stone)]
    dark = Material((0.07, 0.07, 0.075), Texture.PLAIN, gloss=0.03)
    frame = dark if rng.random() < 0.6 else look.frame
    depth = 0.28
    zero = np.zeros_like(left)
    bottom, upper = zero + 0.12, zero + head
    a0, a1, b0, b1, c0, c1, d0, d1 = (
        np.stack([a, b, c], 1)
        for a, c in ((left, bottom), (right, bottom), (right, upper), (left, upper))
        for b in (zero, zero + depth)
    )
    sides = [(a0, a1, d1, d0), (b1, b0, c0, c1), (d0, d1, c1, c0), (a1, a0, b0, b1)]
    meshes.append(quads(np.concatenate([np.stack(side, axis=1) for side in sides]), stone))
    meshes.append(_rectangles(left, right, bottom, upper, depth, look.panes[0]))
    bars = np.concatenate([left, right - 0.07, 0.5 * (left + right) - 0.03, left + 0.25 * (right - left)])
    meshes.append(_rectangles(bars, bars + 0.07, 0.12, head, depth - 0.03, frame))
    meshes.append(_rectangles(left, right, 0.12, 0.5, depth - 0.03, frame))
    for k in range(count):
        color = np.array(_SIGNS[rng.integers(len(_SIGNS))])
        sign = Material(tuple(color), Texture.PLAIN, gloss=0.02)
        contrast = Material(tuple(np.where(color.mean() > 0.3, 0.05, 0.65) * np.ones(3)), Texture.PLAIN)
        if rng.random() < 0.85:
            z = head + 0.08
            board = np.array([left[k], -0.09, z])
            meshes.append(boxes(board, np.array([right[k], 0.0, z + 0.52]), sign, bottom=True))
            start = left[k] + rng.uniform(0.1, 0.4) * (right[k] - left[k])
            letters = start + 0.27 * np.arange(int(rng.integers(4, 9)))
            letters = letters[letters < right[k] - 0.3]
            tall = z + 0.12 + rng.uniform(0.18, 0.3, len(letters))
            meshes.append(_rectangles(letters, letters + 0.18, z + 0.12, tall, -0.1, contrast))
        if rng.random() < 0.25:
            awning = Material(tuple(color), Texture.FENCE, 0.3, (0.55, 0.53, 0.48) if rng.random() < 0.5 else None)
            x0, x1, z = left[k], right[k], head + 0.05
            cloth = [(x0, -0.4, z - 0.3), (x1, -0.4, z - 0.3), (x1, -0.05, z), (x0, -0.05, z)]
            flap = [(x0, -0.4, z - 0.5), (x1, -0.4, z - 0.5), (x1, -0.4, z - 0.3), (x0, -0.4, z - 0.3)]
            meshes.append(quads(np.array([cloth, flap]), awning))
        if rng.random() < 0.5:  # things in the window
            things = rng.uniform(left[k] + 0.3, right[k] - 0.8, 4)
            tone = Material(tuple(rng.uniform(0.05, 0.5, 3)), Texture.PLAIN)
            meshes.append(_rectangles(things, things + 0.5, 0.55, rng.uniform(0.8, 1.7, 4), depth - 0.01, tone))
    return meshes


def _ledges(facade: Facade, look: Look, start: float, rng: np.random.Generator) -> list[Mesh]:
    """A cornice, bands between storeys, and a rain pipe."""
    low, high = [], []
    if rng.random() < 0.7:
        low.append((0, -0.18, facade.eaves - 0.3))
        high.append((facade.width, 0, facade.eaves - 0.05))
    if facade.shops or rng.random() < 0.3:
        low.append((0, -0.09, start - 0.12 if facade.shops else look.storey))
        high.append((facade.width, 0, start + 0.1 if facade.shops else look.storey + 0.18))
    meshes = [boxes(np.array(low), np.array(high), look.trim, bottom=True)] if low else []
    pipe = np.array([facade.width - 0.25, -0.14, 0.0])
    zinc = Material((0.26, 0.27, 0.27), Texture.PLAIN, gloss=0.04)
    return [*meshes, boxes(pipe, pipe + np.array([0.11, 0.11, facade.eaves - 0.1]), zinc)]


def _balconies(
    facade: Facade, look: Look, middles: np.ndarray, rows: np.ndarray, spacing: float, rng: np.random.Generator
) -> list[Mesh]:
    """Balconies one above the other before some of the windows' columns."""
    chosen = middles[rng.random(len(middles)) < facade.balconies]
    floors = rows[rows > 2.2] - look.sill + 0.1
    if not len(chosen) or not len(floors):
        return []
    half, out = min(0.47 * spacing, 1.6), 1.1 if facade.balconies > 0.3 else 0.8
    x, z = (v.ravel() for v in np.meshgrid(chosen, floors, indexing="ij"))
    low = np.stack([x - half, np.full_like(x, -out), z], axis=1)
    slab = boxes(low, low + np.array([2 * half, out, 0.16]), look.trim, bottom=True)
    tone = np.array([(0.5, 0.5, 0.48), (0.3, 0.33, 0.36), (0.35, 0.22, 0.14), (0.2, 0.28, 0.3)][rng.integers(4)])
    if rng.random() < 0.55:
        panel = Material(tuple(tone), Texture.CONCRETE, 1.0)
        front = boxes(low + np.array([0, 0, 0.12]), low + np.array([2 * half, 0.06, 1.05]), panel, bottom=True)
        ends = np.concatenate([low, low + np.array([2 * half - 0.06, 0, 0])])
        return [slab, front, boxes(ends + np.array([0, 0.06, 0.12]), ends + np.array([0.06, out, 1.05]), panel)]
    steel = Material((0.14, 0.14, 0.15), Texture.PLAIN, gloss=0.03)
    rail = boxes(low + np.array([0, 0, 1.05]), low + np.array([2 * half, 0.05, 1.1]), steel, bottom=True)
    bars = low[:, None] + np.linspace(0, 2 * half - 0.03, 11)[:, None] * np.array([1.0, 0, 0])
    bars = bars.reshape(-1, 3)
    upright = _rectangles(bars[:, 0], bars[:, 0] + 0.03, bars[:, 2] + 0.1, bars[:, 2] + 1.05, bars[:, 1], steel)
    return [slab, rail, upright]
