"""From light to an 8-bit picture: exposure, optics, noise, tone curve, compression."""

import cv2
import numpy as np

from mapt_ros.synthetic.view import Sensor


def develop(light: np.ndarray, sensor: Sensor, noise_seed: int, motion: np.ndarray | None = None) -> np.ndarray:
    """The picture a sensor makes of HxWx3 float32 light (white paper in full sun = 1).

    Returns:
        HxWx3 uint8 RGB.
    """
    gains = np.array(sensor.white_balance, np.float32) * np.float32(sensor.exposure)
    light = light * gains
    if sensor.blur > 0:
        light = cv2.GaussianBlur(light, (0, 0), sensor.blur)
    light = np.clip(light, 0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)
