"""Smooth edges: where surfaces meet, the light at the pixels' corners is looked at too and shared by the pixels around.

Every corner belongs to four pixels (the quincunx pattern): one ray a corner gives a pixel five places instead of one.
"""

from dataclasses import dataclass

import numpy as np

from mapt_ros.synthetic.tracing import dot

_DEPTH_STEP = 0.08  # of the sum of two inverse distances: what is farther apart is not one surface
_BEND = 0.8  # cosine between normals below which there is an edge
_CONTRAST = 0.04  # of the square root of light: fainter edges are not seen
_FAR_LEAVES = 25.0  # metres, from where foliage is smoothed without looking again


@dataclass(frozen=True)
class Seams:
    """Where a picture's neighbouring pixels show different surfaces.

    Attributes:
        across: height x (width - 1) bool, between neighbours in a row.
        down: (height - 1) x width bool, between neighbours in a column.
    """

    across: np.ndarray
    down: np.ndarray

    def pixels(self) -> np.ndarray:
        """Height x width bool: the pixels on both sides."""
        beside = np.zeros((len(self.across), self.down.shape[1]), dtype=bool)
        beside[:, 1:] = self.across
        beside[:, :-1] |= self.across
        beside[1:] |= self.down
        beside[:-1] |= self.down
        return beside

    def corners(self) -> np.ndarray:
        """(Height - 1) x (width - 1) bool: the corners between four pixels that are not all of one surface."""
        return self.across[1:] | self.across[:-1] | self.down[:, 1:] | self.down[:, :-1]

    def seen(self, light: np.ndarray) -> "Seams":
        """Those with a contrast one can see in 3 x height x width light."""
        tone = np.sqrt(light)
        across = np.abs(tone[:, :, 1:] - tone[:, :, :-1]).max(axis=0) > _CONTRAST
        down = np.abs(tone[:, 1:] - tone[:, :-1]).max(axis=0) > _CONTRAST
        return Seams(self.across & across, self.down & down)


def find_seams(what: np.ndarray, leaves: np.ndarray, distance: np.ndarray, normals: np.ndarray) -> Seams:
    """Where another surface, a step in depth or a bend begins; within foliage only where another plant begins.

    Args:
        what: height x width int32, a number for each surface.
        leaves: height x width bool, foliage.
        distance: height x width float32, metres.
        normals: 3 x height x width float32, unit; zero for the sky.
    """
    closeness = 1 / distance

    def between(a: tuple, b: tuple) -> np.ndarray:
        near, far = closeness[a], closeness[b]
        step = np.abs(near - far) > np.float32(_DEPTH_STEP) * (near + far)
        bend = dot(normals[(slice(None), *a)], normals[(slice(None), *b)]) < _BEND
        return (what[a] != what[b]) | ((step | bend) & ~(leaves[a] & leaves[b]))

    everything, later, earlier = slice(None), slice(1, None), slice(None, -1)
    return Seams(
        between((everything, later), (everything, earlier)), between((later, everything), (earlier, everything))
    )


def corners_to_look_at(seams: Seams, leaves: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """K indices of corners, counted along rows of width - 1, at which the pixels around do not tell the light.

    Arguments as of ``find_seams``.
    """
    blurred = leaves & (distance > _FAR_LEAVES)
    blurred = blurred[1:, 1:] | blurred[1:, :-1] | blurred[:-1, 1:] | blurred[:-1, :-1]
    return np.flatnonzero(seams.corners() & ~blurred)


def pixels_around(corners: np.ndarray, width: int) -> np.ndarray:
    """4xK indices of the pixels around corners (``corners_to_look_at``) in a picture of that width."""
    first = corners + corners // (width - 1)
    return np.stack([first, first + 1, first + width, first + width + 1])


def known_light(light: np.ndarray, what: np.ndarray, around: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """3xK float32 light at corners from the pixels around that show the same surface; NaN where none does.

    Args:
        light: 3xN float32, of the pixels.
        what: N int32, their surfaces.
        around: 4xK, ``pixels_around`` the corners.
        seen: K int32, the surfaces at the corners.
    """
    same = what.take(around) == seen
    with np.errstate(invalid="ignore"):
        return (light.take(around, axis=1) * same).sum(axis=1) / same.sum(axis=0).astype(np.float32)


def mixed(light: np.ndarray, pixels: np.ndarray, corners: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """3 x height x width float32: half of a pixel's light from its centre, half from its corners.

    Args:
        light: 3 x height x width float32, at the centres.
        pixels: height x width bool, those to be mixed; the others stay.
        corners: K indices of corners that were looked at; the others are the mean of the pixels around.
        colors: 3xK float32, the light there.
    """
    padded = np.pad(light, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, 1:] + padded[:, :-1]
    grid = 0.25 * (rows[:, :, 1:] + rows[:, :, :-1])
    row, column = np.divmod(corners, light.shape[2] - 1)
    grid[:, row + 1, column + 1] = colors
    rows = grid[:, 1:] + grid[:, :-1]
    return np.where(pixels, 0.5 * light + 0.125 * (rows[:, :, 1:] + rows[:, :, :-1]), light)
