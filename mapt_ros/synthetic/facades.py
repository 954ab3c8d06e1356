"""Facades: walls with rows of inset windows, frames, sills, shutters, doors, shop fronts and balconies."""

from dataclasses import dataclass, replace

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

_BLIND = Material((0.5, 0.49, 0.46), Texture.PLAIN)
_PANE_SHARES = (0.45, 0.25, 0.18, 0.12)  # of the panes of a look


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
    x0, z0 = (v.ravel() for v in np.meshgrid(left, rows, indexing="ij"))
    x1, z1 = (v.ravel() for v in np.meshgrid(right, high, indexing="ij"))
    sheet = _Sheet()
    solids: list[Mesh] = []
    if facade.rich:
        _pierced(sheet, (0.0, facade.width), (start, facade.eaves), (left, right), (rows, high), look.wall)
        solids += _windows(sheet, x0, x1, z0, z1, look, rng)
    else:
        sheet.rectangles(0.0, facade.width, start, facade.eaves, 0.0, look.wall)
        _flat_windows(sheet, x0, x1, z0, z1, look, rng)
    if facade.shops:
        solids += _shops(sheet, facade.width, start, look, rng)
    else:
        base = np.array([0, -0.03, -1.0])
        solids.append(boxes(base, np.array([facade.width, 0.0, look.base]), look.ground))
        if facade.door:
            # Between two columns of windows, where there is wall.
            solids += _door(sheet, max(1.0, spacing * (columns // 2)), look, rng)
    if facade.rich:
        solids += _ledges(facade, look, start, rng)
    if facade.balconies > 0 and facade.floors > 1:
        solids += _balconies(sheet, facade, look, middles, rows, spacing, rng)
    return joined([sheet.mesh(), *solids])


class _Sheet:
    """Upright quads of a facade in the making; they become one mesh at once, for there are many small ones."""

    def __init__(self) -> None:
        self._corners: list[np.ndarray] = []
        self._materials: list[Material] = []

    def add(self, corners: np.ndarray, material: Material) -> None:
        """Adds Nx4x3 corners."""
        self._corners.append(corners)
        self._materials.append(material)

    def rectangles(self, x0, x1, z0, z1, y, material: Material) -> None:
        """Rectangles that look to -y; arguments broadcast to N."""
        edges = np.empty((np.broadcast(x0, x1, z0, z1, y).size, 4, 3))
        edges[:, 0, 0], edges[:, 1, 0], edges[:, 2, 0], edges[:, 3, 0] = x0, x1, x1, x0
        edges[:, 0, 2], edges[:, 1, 2], edges[:, 2, 2], edges[:, 3, 2] = z0, z0, z1, z1
        edges[..., 1] = np.reshape(y, (-1, 1))
        self.add(edges, material)

    def reveals(self, x0, x1, z0, z1, depth: float, material: Material) -> None:
        """The wall's thickness around N openings."""
        low, high = np.zeros_like(x0), np.full_like(x0, depth)
        a, b, c, d = ((x0, z0), (x1, z0), (x1, z1), (x0, z1))
        for (p, q), (r, s) in ((a, d), (c, b), (d, c), (b, a)):
            ring = [np.stack([x, y, z], 1) for x, y, z in ((p, low, q), (p, high, q), (r, high, s), (r, low, s))]
            self.add(np.stack(ring, axis=1), material)

    def mesh(self) -> Mesh:
        """All of them."""
        index = {material: k for k, material in enumerate(dict.fromkeys(self._materials))}
        numbers = np.array([index[material] for material in self._materials], dtype=np.int32)
        plain = quads(np.concatenate(self._corners), self._materials[0])
        counts = [2 * len(corners) for corners in self._corners]
        return replace(plain, face_materials=np.repeat(numbers, counts), materials=tuple(index))


def _pierced(sheet: _Sheet, x: tuple, z: tuple, columns: tuple, rows: tuple, material: Material) -> None:
    """A wall over the ranges ``x`` and ``z`` with a grid of openings: their left and right edges, their low and high
    ones. It is made of piers of full height and the parts above and below the openings."""
    (left, right), (low, high) = columns, rows
    sheet.rectangles(np.append(x[0], right), np.append(left, x[1]), z[0], z[1], 0.0, material)
    below, above = np.append(z[0], high), np.append(low, z[1])
    count = len(below)
    sheet.rectangles(
        np.repeat(left, count),
        np.repeat(right, count),
        np.tile(below, len(left)),
        np.tile(above, len(left)),
        0.0,
        material,
    )


def _flat_windows(sheet: _Sheet, x0, x1, z0, z1, look: Look, rng: np.random.Generator) -> None:
    """Windows for buildings far away: frames and panes that lie on the wall."""
    pane = rng.choice(len(look.panes), len(x0), p=_PANE_SHARES)
    sheet.rectangles(x0 - 0.02, x1 + 0.02, z0 - 0.06, z1 + 0.02, -0.02, look.frame)
    middle = 0.5 * (x0 + x1)
    for k, material in enumerate(look.panes):
        which = pane == k
        a, b, m, c, d = (v[which] for v in (x0, x1, middle, z0, z1))
        sheet.rectangles(a + 0.07, m - 0.03, c + 0.06, d - 0.06, -0.04, material)
        sheet.rectangles(m + 0.03, b - 0.07, c + 0.06, d - 0.06, -0.04, material)


def _windows(sheet: _Sheet, x0, x1, z0, z1, look: Look, rng: np.random.Generator) -> list[Mesh]:
    """What fills openings of N rectangles; returns the solid parts."""
    if not len(x0):
        return []
    y, edge = look.reveal, 0.07
    sheet.reveals(x0, x1, z0, z1, y, look.trim if look.surround else look.wall)
    frame = [(x0, x0 + edge, z0, z1), (x1 - edge, x1, z0, z1), (x0, x1, z0, z0 + edge), (x0, x1, z1 - edge, z1)]
    for k in range(look.mullions):
        middle = x0 + (k + 1) / (look.mullions + 1) * (x1 - x0)
        frame.append((middle - 0.04, middle + 0.04, z0, z1))
    for bar in frame:
        sheet.rectangles(*bar, y - 0.03, look.frame)
    pane = rng.choice(len(look.panes), len(x0), p=_PANE_SHARES)
    for k, material in enumerate(look.panes):
        which = pane == k
        sheet.rectangles(x0[which], x1[which], z0[which], z1[which], y, material)
    down = np.flatnonzero(rng.random(len(x0)) < look.blinds)
    share = rng.uniform(0.15, 0.9, len(down))
    bottom = z1[down] - share * (z1 - z0)[down]
    sheet.rectangles(x0[down], x1[down], bottom, z1[down], y - 0.05, _BLIND)
    if look.surround:
        for band in (
            (x0 - 0.14, x0, z0 - 0.1, z1 + 0.14),
            (x1, x1 + 0.14, z0 - 0.1, z1 + 0.14),
            (x0, x1, z1, z1 + 0.14),
        ):
            sheet.rectangles(*band, -0.025, look.trim)
    if look.shutter is not None:
        half = 0.48 * (x1 - x0)
        for x in (x0 - half - 0.02, x1 + 0.02):
            sheet.rectangles(x, x + half, z0 - 0.02, z1 + 0.02, -0.04, look.shutter)
    sill = np.stack([x0 - 0.08, np.full_like(x0, -0.1), z0 - 0.07], axis=1)
    return [boxes(sill, np.stack([x1 + 0.08, np.full_like(x0, 0.02), z0], axis=1), look.trim)]


def _door(sheet: _Sheet, middle: float, look: Look, rng: np.random.Generator) -> list[Mesh]:
    """An entrance with a frame, a step and sometimes a small roof."""
    color = np.array([(0.13, 0.07, 0.04), (0.06, 0.09, 0.07), (0.3, 0.29, 0.28), (0.09, 0.1, 0.13)][rng.integers(4)])
    leaf = Material(tuple(color), Texture.PLAIN, gloss=0.02)
    low = min(look.base, 0.5)
    x = middle - 0.55
    step = np.array([x - 0.2, -0.45, -0.5])
    sheet.rectangles(x - 0.12, x + 1.22, low - 0.05, low + 2.35, -0.05, look.trim)
    sheet.rectangles(x, x + 1.1, low, low + 2.2, -0.07, leaf)
    sheet.rectangles(x + 0.3, x + 0.8, low + 1.1, low + 2.0, -0.08, look.panes[0])
    meshes = [boxes(step, np.array([x + 1.3, 0.0, low]), Material((0.3,) * 3, Texture.CONCRETE))]
    if rng.random() < 0.5:
        roof = np.array([x - 0.4, -0.4, low + 2.5])
        meshes.append(boxes(roof, roof + np.array([1.9, 0.4, 0.1]), look.trim, bottom=True))
    return meshes


def _shops(sheet: _Sheet, width: float, top: float, look: Look, rng: np.random.Generator) -> list[Mesh]:
    """A ground floor of shop windows under signs, between piers, some with awnings."""
    count = max(1, round(width / rng.uniform(3.6, 5.5)))
    edges = np.linspace(0, width, count + 1)
    left, right = edges[:-1] + 0.22, edges[1:] - 0.22
    head = min(top - 0.75, 3.0)
    stone = look.ground
    meshes: list[Mesh] = []
    bottom, upper = np.full_like(left, 0.12), np.full_like(left, head)
    _pierced(sheet, (0.0, width), (-1.0, top), (left, right), (bottom[:1], upper[:1]), stone)
    dark = Material((0.07, 0.07, 0.075), Texture.PLAIN, gloss=0.03)
    frame = dark if rng.random() < 0.6 else look.frame
    depth = 0.28
    sheet.reveals(left, right, bottom, upper, depth, stone)
    sheet.rectangles(left, right, bottom, upper, depth, look.panes[0])
    bars = np.concatenate([left, right - 0.07, 0.5 * (left + right) - 0.03, left + 0.25 * (right - left)])
    sheet.rectangles(bars, bars + 0.07, 0.12, head, depth - 0.03, frame)
    sheet.rectangles(left, right, 0.12, 0.5, depth - 0.03, frame)
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
            sheet.rectangles(letters, letters + 0.18, z + 0.12, tall, -0.1, contrast)
        if rng.random() < 0.25:
            awning = Material(tuple(color), Texture.FENCE, 0.3, (0.55, 0.53, 0.48) if rng.random() < 0.5 else None)
            x0, x1, z = left[k], right[k], head + 0.05
            cloth = [(x0, -0.4, z - 0.3), (x1, -0.4, z - 0.3), (x1, -0.05, z), (x0, -0.05, z)]
            flap = [(x0, -0.4, z - 0.5), (x1, -0.4, z - 0.5), (x1, -0.4, z - 0.3), (x0, -0.4, z - 0.3)]
            sheet.add(np.array([cloth, flap]), awning)
        if rng.random() < 0.5:  # things in the window
            things = rng.uniform(left[k] + 0.3, right[k] - 0.8, 4)
            tone = Material(tuple(rng.uniform(0.05, 0.45) * rng.uniform(0.7, 1.0, 3)), Texture.PLAIN)
            sheet.rectangles(things, things + 0.5, 0.55, rng.uniform(0.8, 1.7, 4), depth - 0.01, tone)
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
    sheet: _Sheet,
    facade: Facade,
    look: Look,
    middles: np.ndarray,
    rows: np.ndarray,
    spacing: float,
    rng: np.random.Generator,
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
    sheet.rectangles(bars[:, 0], bars[:, 0] + 0.03, bars[:, 2] + 0.1, bars[:, 2] + 1.05, bars[:, 1], steel)
    return [slab, rail]
