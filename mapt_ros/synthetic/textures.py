"""Procedural textures on surfaces: patterns from seamless tiles, facades with windows, gaps between leaves."""

from functools import cache

import numpy as np

from mapt_ros.synthetic.mesh import Texture
from mapt_ros.synthetic.mipmaps import Atlas, ExactTile
from mapt_ros.synthetic.tiles import TILES, leaf_cover, smooth_noise

_NUMBER = {texture: number for number, texture in enumerate(Texture)}
_SEAMLESS = np.array([texture in (Texture.PLAIN, Texture.CLOTH) for texture in Texture])


@cache
def _noise_tiles() -> Atlas:
    return Atlas([np.clip(0.5 + 0.22 * smooth_noise(1, 1.4, 4), 0, 1)])


@cache
def _leaf_tile() -> ExactTile:
    return ExactTile(leaf_cover())


@cache
def _texture_tiles() -> Atlas:
    return Atlas([TILES[texture].paint() for texture in Texture])


@cache
def _facts() -> np.ndarray:
    """5 rows, a column a texture: tile units across and up, large variation, its blobs' width and height."""
    return np.array([(*t.units, t.large, *t.blobs) for t in (TILES[k] for k in Texture)], dtype=np.float32).T.copy()


def noise(x: np.ndarray, y: np.ndarray, footprint: np.ndarray, seed: np.ndarray | int = 0) -> np.ndarray:
    """Fractal noise, N float32 around 0.5 (0 to 1), at N places x, y in units of its largest blobs."""
    part = np.float32(1 / 8)
    shift_x, shift_y = np.float32(0.618) * seed, np.float32(0.367) * seed
    return _noise_tiles().at(0, x * part + shift_x, y * part + shift_y, footprint * part)


def surface_coordinates(
    rest: np.ndarray, rest_normal: np.ndarray, seamless: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Where a place lies on its surface: N metres across and N metres up (of level surfaces: x and y at rest).

    Args:
        rest: 3xN float32, places on the body, metres.
        rest_normal: 3xN float32, unit.
        seamless: N bool, where the pattern does not follow the surface but is cut out of space, so that it has no seams
            between the triangles of a rounded body; None = nowhere.
    """
    nx, ny, nz = rest_normal
    x, y, z = rest
    flat = np.maximum(np.sqrt(nx * nx + ny * ny), np.float32(1e-6))
    level = np.abs(nz) > 0.8
    across = np.where(level, x, (y * nx - x * ny) / flat)
    up = np.where(level, y, z / np.maximum(flat, np.float32(0.3)))
    if seamless is not None:
        rows = np.flatnonzero(seamless)
        x, y, z = rest.take(rows, axis=1)
        across[rows] = np.float32(0.8) * x + np.float32(0.6) * y
        up[rows] = np.float32(0.8) * z + np.float32(0.6) * (np.float32(0.6) * x - np.float32(0.8) * y)
    return across, up


def surface_colors(
    table: np.ndarray, rest: np.ndarray, rest_normal: np.ndarray, footprint: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What surfaces look like from near or far.

    Args:
        table: 12xN float32, columns of the material table.
        rest: 3xN float32, places on the body, metres.
        rest_normal: 3xN float32, unit.
        footprint: N float32, metres a pixel covers there; finer detail is averaged away.

    Returns:
        3xN float32 albedo, and N float32, the share of window panes in it (they mirror).
    """
    kind, scale, seed = table[6].astype(np.intp), table[7], table[11]
    across, up = surface_coordinates(rest, rest_normal, _SEAMLESS.take(kind))
    unit_width, unit_height, variation, blob_width, blob_height = _facts().take(kind, axis=1)
    width, height = unit_width * scale, unit_height * scale
    shift = seed * np.float32(0.618)
    tile = _texture_tiles().at(table[6], across / width + shift, up / height + shift, footprint / width)
    brightness, share = np.ascontiguousarray(tile.T)
    large = noise(across / blob_width, up / blob_height, footprint / blob_height, seed + table[6])
    brightness *= 1 + variation * (large - np.float32(0.5))
    color, second = table[:3], table[3:6]
    cloth = np.flatnonzero(kind == _NUMBER[Texture.CLOTH])
    share[cloth] *= seed[cloth] % 3 == 0  # a third has prints
    colors = second - color
    colors *= share
    colors += color
    colors *= brightness
    panes = np.zeros(len(kind), np.float32)
    walls = np.flatnonzero(kind == _NUMBER[Texture.WINDOWS])
    walls = walls[np.abs(rest_normal[2, walls]) < 0.5]  # no windows in roofs and floors
    if len(walls):
        unit = scale[walls]
        colors[:, walls], panes[walls] = _facade(
            colors[:, walls], second[:, walls], across[walls] / unit, up[walls] / unit, seed[walls],
            footprint[walls] / unit,
        )  # fmt: skip
    return np.clip(colors, 0, 0.95, out=colors), panes


def leaf_gaps(table: np.ndarray, rest: np.ndarray, rest_normal: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """N bool: whether there is a gap between the leaves at places on foliage (arguments as of ``surface_colors``).

    From afar, where a pixel covers many leaves, there are none.
    """
    across, up = surface_coordinates(rest, rest_normal)
    width = TILES[Texture.LEAVES].units[0] * table[7]
    shift = table[11] * np.float32(0.618)
    return _leaf_tile().at(across / width + shift, up / width + shift, footprint / width) < 0.5


def _covered(place: np.ndarray, low: np.ndarray | float, high: np.ndarray | float, footprint: np.ndarray) -> np.ndarray:
    """Share of the stretch ``place`` +- footprint/2 that lies between ``low`` and ``high`` in a pattern of period 1."""
    half = 0.5 * footprint
    near = np.clip((np.minimum(place + half, high) - np.maximum(place - half, low)) / footprint, 0, 1)
    # A stretch about as long as the period sees the pattern's mean.
    return near + (high - low - near) * np.clip(2 * footprint - 0.6, 0, 1)


def _scatter(*numbers: np.ndarray) -> np.ndarray:
    """A number, 0 to 1, that looks random, for each row of whole numbers."""
    mixed = np.zeros(len(numbers[0]), dtype=np.uint32)
    for number in numbers:
        mixed = (mixed ^ number.astype(np.int64).astype(np.uint32)) * np.uint32(0x9E3779B1)
        mixed ^= mixed >> np.uint32(15)
    return (mixed >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24)


def _facade(wall, frame, across, up, seed, footprint) -> tuple[np.ndarray, np.ndarray]:
    """Windows in a wall: one a unit across and up; each house has its own proportions, each window its own curtains."""
    footprint = np.maximum(footprint, np.float32(1e-3))
    column, row = np.floor(across), np.floor(up)
    x, y = across - column, up - row
    wide = 0.2 + 0.16 * _scatter(seed, seed + 7)
    low, high = 0.22 + 0.14 * _scatter(seed, seed + 1), 0.78 + 0.1 * _scatter(seed, seed + 2)
    left, right = 0.5 - wide, 0.5 + wide
    border = np.float32(0.035)
    with_frame = _covered(x, left, right, footprint) * _covered(y, low, high, footprint)
    bars = _covered(x, 0.5 - 0.5 * border, 0.5 + 0.5 * border, footprint) * (_scatter(seed, seed + 3) > 0.35)
    pane = _covered(x, left + border, right - border, footprint) * _covered(y, low + border, high - border, footprint)
    pane = pane * (1 - bars)
    fate = _scatter(column, row, seed)
    shut = _covered(y, low + (high - low) * np.clip(2.4 * fate - 1.2, 0, 1), high, footprint) * (fate < 0.9)
    blind = (fate > 0.5) * shut * (0.25 + 0.5 * _scatter(row, column, seed))
    dark, cloth = np.array([[0.02, 0.022, 0.025], [0.62, 0.6, 0.55]], np.float32)[..., None]
    inside = dark + cloth * blind
    # Below the window the sill's shadow and what rain washed down.
    sill = _covered(x, left, right, footprint) * _covered(y, low - 0.1, low, footprint)
    wall = wall * (1 - 0.18 * sill)
    color = wall + (frame - wall) * with_frame
    color += (inside - color) * pane
    return color, pane
