"""The camera and the light of a procedural sequence: what the renderer needs besides the meshes."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole camera, mounted on the ego vehicle.

    Attributes:
        height, width: pixels.
        focal: focal length in pixels (KITTI: 721.5 at 375x1242, so 369.4 at 192 rows).
        center: principal point (x, y) in pixels (KITTI: 609.6, 172.9 at 375x1242).
        mounting_height: metres above the road.
        pitch: radians, nose down positive.
    """

    height: int
    width: int
    focal: float
    center: tuple[float, float]
    mounting_height: float = 1.65
    pitch: float = 0.0


@dataclass(frozen=True)
class Weather:
    """Light and air of a sequence.

    Attributes:
        sun_azimuth, sun_elevation: radians, in the world's frame.
        sun: direct light on a surface facing it, 0 (overcast) to 1; the sky gives what is missing.
        sun_softness: angular radius of the sun in radians; wider makes softer shadows.
        sun_color, sky_color: linear RGB of the direct light and of the zenith.
        cloudiness: share of the sky under clouds.
        haze: metres after which haze has taken 63 % of the contrast.
        seed: of the clouds.
    """

    sun_azimuth: float
    sun_elevation: float
    sun: float
    sun_softness: float
    sun_color: tuple[float, float, float]
    sky_color: tuple[float, float, float]
    cloudiness: float
    haze: float
    seed: int


@dataclass(frozen=True)
class Sensor:
    """What the camera does to the light that reaches it.

    Attributes:
        exposure: factor on the light before the tone curve, after the camera has adapted to the weather (at 1, white
            paper lying flat under the open sky is about white).
        contrast: exponent on the sRGB tone curve; 1 = sRGB, more deepens the shadows.
        white_balance: RGB gains on linear light.
        blur: standard deviation of the optics' blur in pixels.
        shutter: share of the frame's time that the shutter is open; motion blur grows with it.
        noise: strength of the grain, about its standard deviation in 8-bit steps of mid grey; shadows have less.
        vignette: light lost in the corners, 0 to 1.
        jpeg_quality: 0 to 100; None = not compressed.
    """

    exposure: float = 1.0
    contrast: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: float = 0.4
    shutter: float = 0.1
    noise: float = 1.5
    vignette: float = 0.1
    jpeg_quality: int | None = None


@dataclass(frozen=True)
class RenderedFrame:
    """One frame with its exact ground truth.

    Attributes:
        image: HxWx3 uint8 RGB.
        labels: HxW int32 label map (class id * LABEL_DIVISOR + track id); what is in front has no holes (``mesh.GAP``).
    """

    image: np.ndarray
    labels: np.ndarray
