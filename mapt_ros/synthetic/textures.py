"""Procedural patterns: seamless tiles kept at every scale, so that a pattern fades out where a pixel covers it."""

from functools import cache

import numpy as np


class Tile:
    """A seamless square pattern with its averages at half, quarter ... resolution."""

    def __init__(self, values: np.ndarray) -> None:
        """``values``: NxN or NxNxC float32, N a power of two."""
        self.size = len(values)
        levels, values = [], values.astype(np.float32)
        while True:
            levels.append(values.reshape(len(values) ** 2, *values.shape[2:]))
            if len(values) == 1:
                break
            values = 0.25 * (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2])
        self._values = np.concatenate(levels)
        self._starts = np.cumsum([0] + [len(level) for level in levels[:-1]]).astype(np.int32)
        self._levels = len(levels)

    def at(self, x: np.ndarray, y: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """The pattern, N or NxC float32, at places in tile widths, averaged over about ``footprint`` tile widths."""
        level = np.log2(np.maximum(footprint * np.float32(self.size), np.float32(1)))
        level = np.minimum((level + np.float32(0.5)).astype(np.int32), self._levels - 1)
        size = np.int32(self.size) >> level
        place_x = (x - np.floor(x)) * size - np.float32(0.5)
        place_y = (y - np.floor(y)) * size - np.float32(0.5)
        low_x, low_y = np.floor(place_x), np.floor(place_y)
        part_x, part_y = place_x - low_x, place_y - low_y
        mask = size - 1
        x0, y0 = low_x.astype(np.int32), low_y.astype(np.int32)
        x1, y1 = (x0 + 1) & mask, (y0 + 1) & mask
        x0, y0 = x0 & mask, y0 & mask
        start = self._starts[level]
        row0, row1 = start + y0 * size, start + y1 * size
        if self._values.ndim > 1:
            part_x, part_y = part_x[:, None], part_y[:, None]
        top = self._values[row0 + x0] * (1 - part_x) + self._values[row0 + x1] * part_x
        low = self._values[row1 + x0] * (1 - part_x) + self._values[row1 + x1] * part_x
        return top + (low - top) * part_y


def smooth_noise(size: int, falloff: float, seed: int, coarsest: float = 1.0) -> np.ndarray:
    """A seamless size x size float32 field with a spectrum falling as frequency^-falloff; mean 0, deviation 1.

    Frequencies below ``coarsest`` periods a tile are left out.
    """
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) * size
    weight = np.where(frequency >= coarsest, np.maximum(frequency, 1e-9) ** -falloff, 0)
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(size, size))) * weight, (size, size))
    return (field / field.std()).astype(np.float32)


@cache
def _noise_tile() -> Tile:
    return Tile(np.clip(0.5 + 0.22 * smooth_noise(512, 1.4, 1, 4), 0, 1))


def noise(places: np.ndarray, footprint: np.ndarray, seed: np.ndarray | int = 0) -> np.ndarray:
    """Fractal noise, N float32 around 0.5 (0 to 1), at Nx2 places in units of its largest blobs."""
    shift_x, shift_y = np.float32(0.618) * seed, np.float32(0.367) * seed
    sixteenth = np.float32(1 / 8)
    return _noise_tile().at(
        places[:, 0] * sixteenth + shift_x, places[:, 1] * sixteenth + shift_y, footprint * sixteenth
    )


def albedo(table: np.ndarray, rest: np.ndarray, rest_normal: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Nx3 float32 colours of surfaces.

    Args:
        table: Nx12 float32, rows of the material table.
        rest: Nx3 float32, places on the body, metres.
        rest_normal: Nx3 float32, unit.
        footprint: N float32, metres a pixel covers there.
    """
    return table[:, :3].copy()
