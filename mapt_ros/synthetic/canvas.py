"""A pinhole camera over flat ground and a supersampled canvas that keeps colours and pixel owners in step."""

from dataclasses import dataclass

import cv2
import numpy as np

SUPERSAMPLING = 2
_SHIFT = 4  # fractional bits of polygon corners handed to OpenCV
_NEAREST = 0.4  # metres; corners behind this plane are moved onto it, which only bends what lies outside the image


@dataclass(frozen=True)
class Pinhole:
    """Level camera above flat ground.

    Attributes:
        fx, fy, cx, cy: intrinsics in pixels, pixel centres at whole numbers.
        camera_height: metres above the ground.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    camera_height: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Nx3 metres (right of the camera, above the ground, ahead) to Nx2 float pixels (x, y)."""
        depth = np.maximum(points[:, 2], _NEAREST)
        return np.stack(
            [
                self.cx + self.fx * points[:, 0] / depth,
                self.cy + self.fy * (self.camera_height - points[:, 1]) / depth,
            ],
            axis=1,
        )


class Canvas:
    """Colours and owners at twice the image's resolution; every shape is drawn into both.

    Attributes:
        colors: 2Hx2Wx3 uint8 RGB.
        owners: 2Hx2W uint8, the number of the body that each sample belongs to.
        offset: (x, y) in samples, added to twice the pixel coordinates of everything drawn.
    """

    def __init__(self, colors: np.ndarray, owners: np.ndarray, offset: tuple[int, int]) -> None:
        self.colors, self.owners, self.offset = colors, owners, offset
        # Pixel centre u lies between samples 2u and 2u + 1, hence the half.
        self._origin = np.array(offset, np.float64) + 0.5

    def to_samples(self, pixels: np.ndarray) -> np.ndarray:
        """Nx2 float pixels as the Nx2 int32 fixed-point samples that ``fill`` takes."""
        samples = pixels * SUPERSAMPLING + self._origin
        return np.rint(np.minimum(np.maximum(samples, -20000), 20000) * (1 << _SHIFT)).astype(np.int32)

    def fill(self, samples: np.ndarray, color, owner: int | None) -> None:
        """Fills a polygon given by ``to_samples``; ``owner`` None leaves the owners alone (marks, shadows)."""
        cv2.fillPoly(self.colors, [samples], color, cv2.LINE_8, _SHIFT)
        if owner is not None:
            cv2.fillPoly(self.owners, [samples], owner, cv2.LINE_8, _SHIFT)

    def polygon(self, corners: np.ndarray, color, owner: int | None) -> None:
        """Fills a polygon of Nx2 float pixels."""
        self.fill(self.to_samples(corners), color, owner)

    def ellipse(self, center: tuple[float, float], radii: tuple[float, float], color, owner: int | None) -> None:
        """Fills an axis-parallel ellipse given in float pixels."""
        x, y = (np.array(center) * SUPERSAMPLING + self._origin) * (1 << _SHIFT)
        if max(abs(x), abs(y)) > 20000 << _SHIFT:
            return
        axes = [max(1, round(r * SUPERSAMPLING * (1 << _SHIFT))) for r in radii]
        for target, value in ((self.colors, color), (self.owners, owner)):
            if value is not None:
                cv2.ellipse(target, (round(x), round(y)), axes, 0, 0, 360, value, -1, cv2.LINE_8, _SHIFT)


def resolve_owners(owners: np.ndarray) -> np.ndarray:
    """2Hx2W uint8 sample owners to HxW: the owner of most of a pixel's four samples, in a tie the one drawn last.

    Bodies are numbered in the order in which they are drawn, so the greater number is the nearer body.
    """
    # Contiguous copies: NumPy's byte-wise minimum is many times slower on strided views.
    a, b, c, d = (np.ascontiguousarray(owners[row::2, column::2]) for row in (0, 1) for column in (0, 1))
    low1, high1, low2, high2 = np.minimum(a, b), np.maximum(a, b), np.minimum(c, d), np.maximum(c, d)
    first, last = np.minimum(low1, low2), np.maximum(high1, high2)
    inner1, inner2 = np.maximum(low1, low2), np.minimum(high1, high2)
    second, third = np.minimum(inner1, inner2), np.maximum(inner1, inner2)
    return np.where(second == third, second, np.where((first == second) & (third != last), first, last))
