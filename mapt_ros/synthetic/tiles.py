"""The tiles of the procedural textures: seamless squares of brightness and of the share of the second colour."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from mapt_ros.synthetic.mesh import Texture

SIZE = 512  # texels along a tile's side


def smooth_noise(seed: int, falloff: float, coarsest: float = 1.0, stretch: float = 1.0) -> np.ndarray:
    """A seamless SIZE x SIZE float32 field with a spectrum falling as frequency^-falloff; mean 0, deviation 1.

    Args:
        seed: of the field.
        falloff: 0 is white noise, 2 is clouds.
        coarsest: periods a tile of the largest blobs.
        stretch: how many times longer than wide the blobs are, along the rows (below 1: along the columns).
    """
    rng = np.random.default_rng(seed)
    across, along = np.fft.fftfreq(SIZE)[:, None] * SIZE, np.fft.rfftfreq(SIZE)[None] * SIZE
    frequency = np.hypot(across, along * stretch)
    weight = np.where(frequency >= coarsest, np.maximum(frequency, 1e-9) ** -falloff, 0)
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIZE, SIZE))) * weight, (SIZE, SIZE))
    return (field / field.std()).astype(np.float32)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of a tile, 0 to 1."""
    place = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
    return np.broadcast_to(place, (SIZE, SIZE)), np.broadcast_to(place[:, None], (SIZE, SIZE))


def _cells(x: np.ndarray, y: np.ndarray, columns: int, rows: int, seed: int) -> np.ndarray:
    """A random number, -1 to 1, for each of columns x rows cells."""
    values = np.random.default_rng(seed).uniform(-1, 1, (rows, columns)).astype(np.float32)
    return values[(y * rows).astype(int) % rows, (x * columns).astype(int) % columns]


def _stack(brightness: np.ndarray, second: np.ndarray | float = 0.0) -> np.ndarray:
    brightness = np.maximum(brightness, 0.02).astype(np.float32)
    return np.stack([brightness, np.broadcast_to(np.asarray(second, np.float32), brightness.shape)], axis=-1)


def _bonds(columns: int, rows: int, joint: float, seed: int, spread: float) -> np.ndarray:
    """Slabs or bricks in running bond: each with its own brightness, ``joint`` = the joints' share of a row."""
    x, y = _grid()
    shifted = (x + (np.floor(y * rows) % 2) * (0.5 / columns)) % 1
    to_column, to_row = (shifted * columns) % 1, (y * rows) % 1
    wide = joint * columns / rows
    joints = (to_column < wide) | (to_row < joint)
    slabs = 1 + spread * _cells(shifted, y, columns, rows, seed) + 0.05 * smooth_noise(seed, 0.3)
    return _stack(np.where(joints, 1 + 0.05 * smooth_noise(seed + 1, 0), slabs), joints)


def _plain() -> np.ndarray:
    return _stack(1 + 0.03 * smooth_noise(10, 1.2))


def _asphalt() -> np.ndarray:
    grain = 1 + 0.13 * smooth_noise(20, 0.25) + 0.05 * smooth_noise(21, 1.2, 2)
    ridges = np.abs(smooth_noise(22, 1.9, 2))  # cracks run along the zero line of a cloudy field
    broken = smooth_noise(23, 2.0) > 0.2
    return _stack(grain * np.where((ridges < 0.012) & broken, 0.45, 1.0))


def _concrete() -> np.ndarray:
    x, y = _grid()
    joints = ((x * 4) % 1 < 0.015) | ((y * 4) % 1 < 0.015)
    stains = 1 + 0.07 * smooth_noise(30, 1.4) + 0.05 * smooth_noise(31, 1.0, 1, 0.2) + 0.04 * smooth_noise(32, 0)
    return _stack(stains * np.where(joints, 0.6, 1.0) + 0.05 * _cells(x, y, 4, 4, 33))


def _grass() -> np.ndarray:
    blades = 1 + 0.28 * smooth_noise(40, 0.4, 1, 0.6) + 0.12 * smooth_noise(41, 1.4)
    return _stack(blades, np.clip(0.35 * smooth_noise(42, 1.1) + 0.1, 0, 0.9))


@cache
def _painted_leaves() -> np.ndarray:
    """SIZE x SIZE float32: leaves painted one over the other, the deeper the darker; 0 in the gaps between them."""
    rng = np.random.default_rng(50)
    tile = np.zeros((3 * SIZE, 3 * SIZE), np.float32)
    count = 5200
    for i in range(count):
        depth = i / count
        tone = float((0.3 + 0.9 * depth**1.3) * rng.uniform(0.65, 1.45))
        size, angle = rng.uniform(3, 7), rng.uniform(0, 180)
        center = rng.uniform(0, SIZE, 2)
        # What reaches over the tile's edge comes in again at the other side.
        for dx in (0, SIZE) if center[0] < 16 else (0, -SIZE) if center[0] > SIZE - 16 else (0,):
            for dy in (0, SIZE) if center[1] < 16 else (0, -SIZE) if center[1] > SIZE - 16 else (0,):
                place = (int(center[0] + SIZE + dx), int(center[1] + SIZE + dy))
                cv2.ellipse(tile, place, (int(size), max(1, int(0.5 * size))), angle, 0, 360, tone, -1)
    return tile[SIZE : 2 * SIZE, SIZE : 2 * SIZE]


def leaf_cover() -> np.ndarray:
    """SIZE x SIZE float32: 1 where the tile of Texture.LEAVES has a leaf, 0 in the gaps; in twigs, not evenly."""
    gaps = (_painted_leaves() == 0) | (smooth_noise(53, 1.0, 4) < -0.75)
    return 1 - gaps.astype(np.float32)


def _leaves() -> np.ndarray:
    leaves = np.maximum(_painted_leaves(), 0.2)
    clumps = np.clip(1 + 0.3 * smooth_noise(51, 1.2, 2), 0.3, 2)
    return _stack(np.clip(leaves / leaves.mean() * clumps, 0, 2.2), np.clip(0.3 * smooth_noise(52, 0.8, 4), 0, 0.7))


def _bark() -> np.ndarray:
    return _stack(1 + 0.3 * smooth_noise(60, 0.8, 2, 0.15) + 0.1 * smooth_noise(61, 0))


def _plaster() -> np.ndarray:
    runs = np.clip(smooth_noise(70, 1.3, 1, 0.12), -2, 0.5)
    return _stack(1 + 0.05 * runs + 0.04 * smooth_noise(71, 1.3) + 0.03 * smooth_noise(72, 0))


def _fence() -> np.ndarray:
    x, _ = _grid()
    between = ((x * 8) % 1) > 0.62
    return _stack(1 + 0.08 * _cells(x, np.zeros_like(x), 8, 1, 80) + 0.04 * smooth_noise(81, 0.5, 1, 0.1), between)


def _stripes() -> np.ndarray:
    x, y = _grid()
    return _stack(1 + 0.03 * smooth_noise(90, 1), ((x + y) * 4) % 1 > 0.5)


def _cloth() -> np.ndarray:
    folds = smooth_noise(100, 1.6, 2, 0.45)
    return _stack(1 + 0.16 * folds + 0.04 * smooth_noise(101, 0), np.clip(3 * smooth_noise(102, 1.5, 5) - 2, 0, 1))


def _plate() -> np.ndarray:
    """Strokes of signs, a sign every sixteenth of the tile."""
    x, y = _grid()
    inside = ((x * 16) % 1 > 0.25) & (_cells(x, y, 16, 1, 110) > -0.75)
    stroke = _cells(x, y, 64, 24, 111) > 0.05
    return _stack(np.ones_like(x), inside & stroke)


@dataclass(frozen=True)
class TileFacts:
    """How a texture's tile lies on a surface.

    Attributes:
        paint: makes the tile, SIZE x SIZE x 2: brightness and share of the second colour.
        units: width of the tile in units of the material's scale, and its height.
        large: how much brightness varies from one end of a surface to the other.
        blobs: width and height of these large variations in metres.
    """

    paint: Callable[[], np.ndarray]
    units: tuple[float, float]
    large: float
    blobs: tuple[float, float]


TILES: dict[Texture, TileFacts] = {
    Texture.PLAIN: TileFacts(_plain, (1.5, 1.5), 0.12, (0.8, 0.8)),
    Texture.ASPHALT: TileFacts(_asphalt, (5, 5), 0.55, (14, 1.6)),
    Texture.CONCRETE: TileFacts(_concrete, (4, 4), 0.35, (2.5, 2.5)),
    Texture.PAVING: TileFacts(lambda: _bonds(8, 8, 0.05, 120, 0.12), (8, 8), 0.4, (2.5, 2.5)),
    Texture.GRASS: TileFacts(_grass, (2.5, 2.5), 0.7, (3.5, 3.5)),
    Texture.LEAVES: TileFacts(_leaves, (4, 4), 0.5, (1.6, 1.6)),
    Texture.BARK: TileFacts(_bark, (1, 1), 0.4, (0.5, 1.5)),
    Texture.BRICK: TileFacts(lambda: _bonds(16, 32, 0.14, 130, 0.2), (16, 12), 0.35, (3, 3)),
    Texture.PLASTER: TileFacts(_plaster, (5, 5), 0.25, (2, 6)),
    Texture.WINDOWS: TileFacts(_plaster, (5, 5), 0.25, (2, 6)),
    Texture.FENCE: TileFacts(_fence, (8, 8), 0.2, (2, 2)),
    Texture.STRIPES: TileFacts(_stripes, (4, 4), 0.1, (1, 1)),
    Texture.CLOTH: TileFacts(_cloth, (0.9, 0.9), 0.15, (0.4, 0.4)),
    Texture.PLATE: TileFacts(_plate, (4.7, 1), 0.05, (1, 1)),
}
