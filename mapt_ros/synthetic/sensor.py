"""From light to an 8-bit picture: motion, optics, exposure, noise, tone curve, compression."""

from functools import cache
from statistics import NormalDist

import cv2
import numpy as np

from mapt_ros.synthetic.view import Camera, Sensor

_BLUR_STEPS = 4  # pictures averaged for motion blur
_LONGEST_BLUR = 12.0  # pixels
_SHORTEST_BLUR = 0.4  # pixels; what moves less anywhere stays sharp
_FULL_WELL = 7000.0  # electrons at white, for shot noise


def image_flow(distance: np.ndarray, camera: Camera, motion: np.ndarray) -> np.ndarray:
    """HxWx2 float32: where still things move in the picture (columns, rows) while the camera moves.

    Args:
        distance: HxW float32, metres along each pixel's ray.
        camera: the camera.
        motion: 4x4, the camera's pose at the end as seen from its pose at the beginning.
    """
    columns, rows = np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)[:, None]
    left = np.float32(1 / camera.focal) * (np.float32(camera.center[0]) - columns)
    up = np.float32(1 / camera.focal) * (np.float32(camera.center[1]) - rows)
    depth = np.minimum(distance, np.float32(1e5)) / np.sqrt(1 + left * left + up * up)
    # The end of the interval is now: the same points as seen from where the camera was.
    turn, shift = motion[:3, :3].astype(np.float32), motion[:3, 3].astype(np.float32)
    ahead, aside, above = (depth * (turn[i, 0] + turn[i, 1] * left + turn[i, 2] * up) + shift[i] for i in range(3))
    scale = np.float32(camera.focal) / np.maximum(ahead, np.float32(0.1))
    was_column, was_row = camera.center[0] - scale * aside, camera.center[1] - scale * above
    return cv2.merge([columns - was_column, rows - was_row])


def _smeared(light: np.ndarray, flow: np.ndarray, shutter: float) -> np.ndarray:
    """Light averaged along the way each pixel's content moves while the shutter is open."""
    across, down = (np.float32(shutter) * way for way in cv2.split(flow))
    length = np.sqrt(across * across + down * down)
    if min(float(length.max()), _LONGEST_BLUR) < _SHORTEST_BLUR:
        return light
    shorter = np.minimum(1, np.float32(_LONGEST_BLUR) / np.maximum(length, np.float32(1e-6)))
    across *= shorter
    down *= shorter
    height, width = light.shape[:2]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    total = np.zeros_like(light)
    for part in (np.arange(_BLUR_STEPS, dtype=np.float32) + 0.5) / _BLUR_STEPS - 0.5:
        total += cv2.remap(
            light, columns + across * part, rows + down * part, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
        )
    return total / _BLUR_STEPS


_QUANTILES = 4096  # values that noise takes; drawing one of them is faster than drawing a normal number
_LIGHT_STEPS = 8191  # in which light is counted before the tone curve


@cache
def tone_curve(contrast: float) -> np.ndarray:
    """8-bit values of 0 ... _LIGHT_STEPS steps of light, uint8; white clips at once, as in a machine-vision camera.

    ``contrast`` 1 is sRGB's curve; more deepens the shadows.
    """
    light = np.linspace(0, 1, _LIGHT_STEPS + 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(encoded**contrast * 255).astype(np.uint8)


@cache
def _normal_quantiles() -> np.ndarray:
    """_QUANTILES float32 of the normal distribution, all as likely."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / _QUANTILES) for i in range(_QUANTILES)], dtype=np.float32)


def develop(light: np.ndarray, sensor: Sensor, noise_seed: int, flow: np.ndarray | None = None) -> np.ndarray:
    """The picture a sensor makes.

    Args:
        light: HxWx3 float32, white paper flat under the sky = 1.
        sensor: the sensor.
        noise_seed: of its noise.
        flow: HxWx2 float32, pixels that things move in the picture over a frame interval; None = nothing moves.

    Returns:
        HxWx3 uint8 RGB.
    """
    height, width = light.shape[:2]
    # OpenCV multiplies three channels at once, NumPy three numbers at a time.
    light = cv2.multiply(light, tuple(sensor.exposure * share for share in sensor.white_balance) + (0.0,))
    if flow is not None and sensor.shutter > 0:
        light = _smeared(light, flow, sensor.shutter)
    # Stray light: a little of what is bright spreads over the whole picture, the sky over its edge most.
    quarter = cv2.resize(np.minimum(light, 4), None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    stray = cv2.GaussianBlur(quarter, (0, 0), max(1.0, 0.012 * width / 2))
    light = light * np.float32(0.965) + np.float32(0.03) * cv2.resize(stray, (width, height))
    if sensor.blur > 0:
        light = cv2.GaussianBlur(np.minimum(light, 4), (0, 0), sensor.blur)
    if sensor.vignette > 0:
        x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        reach = (x * x * width**2 + y * y * height**2) / (width**2 + height**2)
        light = cv2.multiply(light, cv2.merge([1 - np.float32(sensor.vignette) * reach] * 3))
    light = np.minimum(light, 1)
    rng = np.random.default_rng(noise_seed)
    if sensor.noise > 0:
        # Read noise is given in 8-bit steps of a linear scale; shot noise grows with the root of the light.
        grain = _normal_quantiles().take(rng.integers(_QUANTILES, size=light.shape, dtype=np.uint16))
        read = np.float32(sensor.noise / 255 / 4)
        light = light + grain * np.sqrt(light / np.float32(_FULL_WELL) * np.float32(sensor.noise) + read * read)
    steps = np.clip(light * np.float32(_LIGHT_STEPS) + np.float32(0.5), 0, _LIGHT_STEPS).astype(np.uint16)
    picture = tone_curve(sensor.contrast).take(steps)
    if sensor.jpeg_quality is not None:
        quality = [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg_quality]
        _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
        picture = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return picture
