"""Seamless tiles kept at every scale, so that a pattern fades out where a pixel covers it."""

from collections.abc import Iterator

import cv2
import numpy as np

from mapt_ros.synthetic.tiles import SIZE

_LEVELS = SIZE.bit_length()
_SIZES = SIZE >> np.arange(_LEVELS, dtype=np.int32)
_ROW = 512  # places a row: OpenCV takes no map as long as a picture has pixels


def _averages(values: np.ndarray) -> Iterator[np.ndarray]:
    """A SIZE x SIZE (x C) tile at full, half, quarter ... resolution down to one texel."""
    yield values
    while len(values) > 1:
        values = 0.25 * (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2])
        yield values


def _level(footprint: np.ndarray) -> np.ndarray:
    """N int32: the level whose texels are as large as footprints given in tile widths."""
    # The exponent of a float32 is the logarithm rounded down; the factor makes that rounding to the nearest.
    texels = np.maximum(footprint * np.float32(SIZE * np.sqrt(2)), np.float32(1)).astype(np.float32, copy=False)
    return np.minimum((texels.view(np.int32) >> 23) - 127, _LEVELS - 1)


class Atlas:
    """Tiles in one picture that OpenCV looks values up in, to a 32nd of a texel."""

    def __init__(self, tiles: list[np.ndarray]) -> None:
        """``tiles``: each SIZE x SIZE, or each SIZE x SIZE x C, float32."""
        # Each level has a border of a texel from its other side, for places near its edges.
        levels = [[np.pad(v, [(1, 1), (1, 1), (0, 0)][: v.ndim], mode="wrap") for v in _averages(t)] for t in tiles]
        widths = _SIZES + 2
        self._lefts = (np.cumsum(widths) - widths + 0.5).astype(np.float32)
        self._height = SIZE + 2
        shape = (self._height * len(tiles), int(widths.sum()), *tiles[0].shape[2:])
        self._picture = np.zeros(shape, dtype=np.float32)
        for number, tile in enumerate(levels):
            for values, left in zip(tile, (self._lefts - 0.5).astype(int), strict=True):
                rows = slice(number * self._height, number * self._height + len(values))
                self._picture[rows, left : left + len(values)] = values

    def at(self, tile: np.ndarray | int, x: np.ndarray, y: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """The patterns, N or NxC float32, at places x, y in tile widths, averaged over ``footprint`` widths."""
        level = _level(footprint)
        texels = _SIZES.take(level).astype(np.float32)
        column, row = np.zeros((2, -(-len(x) // _ROW), _ROW), dtype=np.float32)
        column.ravel()[: len(x)] = (x - np.floor(x)) * texels + self._lefts.take(level)
        row.ravel()[: len(x)] = (y - np.floor(y)) * texels + (np.float32(0.5) + self._height * tile)
        if not len(x):
            return np.zeros((0, *self._picture.shape[2:]), dtype=np.float32)
        values = cv2.remap(self._picture, column, row, cv2.INTER_LINEAR)
        return values.reshape(-1, *self._picture.shape[2:])[: len(x)]


class ExactTile:
    """One tile, SIZE x SIZE float32, whose values are needed to the last bit: labels depend on them."""

    def __init__(self, values: np.ndarray) -> None:
        levels = [level.ravel() for level in _averages(values)]
        self._starts = np.cumsum([0] + [len(level) for level in levels[:-1]]).astype(np.int32)
        self._values = np.concatenate(levels).astype(np.float32)

    def at(self, x: np.ndarray, y: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """The pattern, N float32, at places x, y in tile widths, averaged over ``footprint`` widths."""
        level = _level(footprint)
        size = _SIZES.take(level)
        texels = size.astype(np.float32)
        place_x = (x - np.floor(x)) * texels - np.float32(0.5)
        place_y = (y - np.floor(y)) * texels - np.float32(0.5)
        low_x, low_y = np.floor(place_x), np.floor(place_y)
        part_x, part_y = place_x - low_x, place_y - low_y
        x0, y0 = low_x.astype(np.int32), low_y.astype(np.int32)
        x1, y1 = (x0 + 1) & (size - 1), (y0 + 1) & (size - 1)
        x0, y0 = x0 & (size - 1), y0 & (size - 1)
        start = self._starts.take(level)
        row0, row1 = start + y0 * size, start + y1 * size
        top, low = self._values.take(row0 + x0), self._values.take(row1 + x0)
        top += (self._values.take(row0 + x1) - top) * part_x
        low += (self._values.take(row1 + x1) - low) * part_x
        return top + (low - top) * part_y
