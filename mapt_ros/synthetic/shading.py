"""Light on surfaces: sun, sky, what is mirrored in paint and glass, and the haze between them and the camera."""

import numpy as np

from mapt_ros.synthetic.sky import Sky


def lit(albedo: np.ndarray, normal: np.ndarray, sky: Sky, sun_seen: np.ndarray, openness: np.ndarray) -> np.ndarray:
    """Nx3 float32 light that matt surfaces send out.

    Args:
        albedo: Nx3 float32.
        normal: Nx3 float32, unit.
        sky: the light.
        sun_seen: N float32, the share of the sun's disc that is not hidden.
        openness: N float32, the share of the sky that is not hidden by what stands near.
    """
    facing = np.maximum(normal @ sky.sun_direction, 0) * sun_seen
    up = 0.5 + 0.5 * normal[:, 2]
    bounced = sky.ambient * 0.25 + sky.sun_light * (0.12 * max(float(sky.sun_direction[2]), 0.0))
    from_above = up[:, None] * sky.ambient + (1 - up)[:, None] * bounced
    return albedo * (facing[:, None] * sky.sun_light + from_above * openness[:, None])


def through_haze(light: np.ndarray, distance: np.ndarray, sky: Sky, haze: float) -> np.ndarray:
    """Nx3 light after ``distance`` metres (N) of air; ``haze`` metres take 63 % of the contrast."""
    share = np.exp(-distance / np.float32(haze))[:, None]
    return light * share + sky.horizon * (1 - share)
