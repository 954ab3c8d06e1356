"""Light on surfaces: sun, sky, what is mirrored in paint and glass, and the haze between them and the camera.

Vectors and colours of N places are 3xN arrays: NumPy computes along rows several times as fast as across them.
"""

import numpy as np

from mapt_ros.synthetic.mesh import Texture
from mapt_ros.synthetic.sky import Sky
from mapt_ros.synthetic.textures import noise
from mapt_ros.synthetic.tracing import dot

_SOFT = np.array([texture in (Texture.LEAVES, Texture.GRASS) for texture in Texture])  # light shines through them


def towards_sun(normal: np.ndarray, kind: np.ndarray, sky: Sky) -> np.ndarray:
    """N float32, how much a surface faces the sun, 0 to 1; leaves and grass are lit from behind too.

    Args:
        normal: 3xN float32, unit.
        kind: N integers, the texture's number.
        sky: the light.
    """
    cosine = dot(sky.sun_direction, normal)
    return np.where(_SOFT.take(kind), np.clip(0.62 * cosine + 0.3, 0, 1), np.maximum(cosine, 0))


def matt_light(
    albedo: np.ndarray, normal: np.ndarray, facing: np.ndarray, openness: np.ndarray, sky: Sky
) -> np.ndarray:
    """3xN float32 light that matt surfaces send out.

    Args:
        albedo: 3xN float32.
        normal: 3xN float32, unit.
        facing: N float32, how much they face the sun, less what is hidden of it.
        openness: N float32, the share of the sky that is not hidden by what stands near.
        sky: the light.
    """
    up = (0.5 + 0.5 * normal[2]) * openness
    light = (sky.ambient - sky.bounced)[:, None] * up
    light += sky.bounced[:, None] * openness
    light += sky.sun_light[:, None] * facing
    light *= albedo
    return light


def sheen(view: np.ndarray, normal: np.ndarray, sun_seen: np.ndarray, sky: Sky) -> np.ndarray:
    """N float32, the sun's glare on rough surfaces seen at a flat angle against the light, as on a road at low sun.

    Args:
        view: 3xN float32 unit directions from the camera.
        normal: 3xN float32, unit.
        sun_seen: N float32, the share of the sun that is not hidden.
        sky: the light.
    """
    cosine = dot(view, normal)
    towards = np.maximum(dot(sky.sun_direction, view) - 2 * cosine * dot(sky.sun_direction, normal), 0)
    flat = np.clip(1 + cosine, 0, 1)
    # The sixth power of the one times the fourth of the other.
    return 0.55 * np.square(np.square(flat) * towards * np.square(towards)) * sun_seen


def mirrored(view: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """3xN float32 directions in which a mirror continues the view; never into the surface's own sky-ward side."""
    return view - 2 * dot(view, normal) * normal


def fresnel(view: np.ndarray, normal: np.ndarray, gloss: np.ndarray) -> np.ndarray:
    """N float32, the share of light mirrored, from that at normal incidence (Schlick's approximation)."""
    flat = np.clip(1 + dot(view, normal), 0, 1)
    return gloss + (1 - gloss) * np.square(np.square(flat)) * flat


def sun_spark(directions: np.ndarray, sky: Sky) -> np.ndarray:
    """3xN float32: the sun itself in a mirror that looks along ``directions``, spread by a paint's fine waves."""
    angle = 1 - dot(sky.sun_direction, directions)
    return (24 * sky.sun_light)[:, None] * np.exp(-angle / np.float32(0.0025))


def surroundings(colors: np.ndarray, found: np.ndarray, directions: np.ndarray, sky: Sky) -> np.ndarray:
    """3xN float32 light that arrives along ``directions`` (3xN) at a mirror.

    Args:
        colors: 3xN float32, albedo of what stands there.
        found: N bool, whether anything stands there; else it is the sky.
        directions: 3xN float32, unit.
        sky: the light.
    """
    down = directions[2] < 0
    brightness = 0.5 * sky.sun_light * np.maximum(sky.sun_direction[2], np.float32(0.3)) + 0.6 * sky.ambient
    ground = np.where(down, np.float32(0.12) * brightness[:, None], sky.radiance(directions))
    return np.where(found, colors * np.where(down, np.float32(1.3), np.float32(0.7)) * brightness[:, None], ground)


def through_haze(light: np.ndarray, distance: np.ndarray, sky: Sky, haze: float) -> np.ndarray:
    """3xN light after ``distance`` metres (N) of air; ``haze`` metres take 63 % of the contrast."""
    share = np.exp(-distance / np.float32(haze))
    return light * share + sky.horizon[:, None] * (1 - share)


def dapples(places: np.ndarray, sky: Sky) -> np.ndarray:
    """N float32, the share of the sun that comes through a tree's leaves at 3xN places behind them."""
    # The pattern of the leaves' gaps is constant along the sun's rays.
    side = np.cross(sky.sun_direction, [0, 0, 1]).astype(np.float32)
    side /= max(float(np.linalg.norm(side)), 1e-6)
    other = np.cross(side, sky.sun_direction).astype(np.float32)
    across, along = np.float32(1.1) * dot(side, places), np.float32(1.1) * dot(other, places)
    return np.clip(2.4 * noise(across, along, np.full(len(across), 0.02, np.float32)) - 1.1, 0.02, 0.85)
