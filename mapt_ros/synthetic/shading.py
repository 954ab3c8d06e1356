"""Light on surfaces: sun, sky, what is mirrored in paint and glass, and the haze between them and the camera."""

import numpy as np

from mapt_ros.synthetic.mesh import Texture
from mapt_ros.synthetic.sky import Sky
from mapt_ros.synthetic.textures import noise

_SOFT = np.array([texture in (Texture.LEAVES, Texture.GRASS) for texture in Texture])  # light shines through them


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """N dot products of Nx3 vectors."""
    return np.einsum("ij,ij->i", a, b)


def towards_sun(normal: np.ndarray, kind: np.ndarray, sky: Sky) -> np.ndarray:
    """N float32, how much a surface faces the sun, 0 to 1; leaves and grass are lit from behind too.

    Args:
        normal: Nx3 float32, unit.
        kind: N int32, the texture's number.
        sky: the light.
    """
    cosine = normal @ sky.sun_direction
    return np.where(_SOFT[kind], np.clip(0.62 * cosine + 0.3, 0, 1), np.maximum(cosine, 0)).astype(np.float32)


def matt_light(
    albedo: np.ndarray, normal: np.ndarray, facing: np.ndarray, openness: np.ndarray, sky: Sky
) -> np.ndarray:
    """Nx3 float32 light that matt surfaces send out.

    Args:
        albedo: Nx3 float32.
        normal: Nx3 float32, unit.
        facing: N float32, how much they face the sun, less what is hidden of it.
        openness: N float32, the share of the sky that is not hidden by what stands near.
        sky: the light.
    """
    up = (0.5 + 0.5 * normal[:, 2])[:, None]
    hemisphere = sky.bounced + (sky.ambient - sky.bounced) * up
    return albedo * (facing[:, None] * sky.sun_light + hemisphere * openness[:, None])


def sheen(view: np.ndarray, normal: np.ndarray, sun_seen: np.ndarray, sky: Sky) -> np.ndarray:
    """N float32, the sun's glare on rough surfaces seen at a flat angle against the light, as on a road at low sun.

    Args:
        view: Nx3 float32 unit directions from the camera.
        normal: Nx3 float32, unit.
        sun_seen: N float32, the share of the sun that is not hidden.
        sky: the light.
    """
    cosine = dot(view, normal)
    towards = view @ sky.sun_direction - 2 * cosine * (normal @ sky.sun_direction)
    flat = np.clip(1 + cosine, 0, 1)
    return 0.55 * np.maximum(towards, 0) ** 6 * flat**4 * sun_seen


def mirrored(view: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Nx3 float32 directions in which a mirror continues the view; never into the surface's own sky-ward side."""
    return view - 2 * dot(view, normal)[:, None] * normal


def fresnel(view: np.ndarray, normal: np.ndarray, gloss: np.ndarray) -> np.ndarray:
    """N float32, the share of light mirrored, from that at normal incidence (Schlick's approximation)."""
    flat = np.clip(1 + dot(view, normal), 0, 1)
    return gloss + (1 - gloss) * flat**5


def sun_spark(directions: np.ndarray, sky: Sky) -> np.ndarray:
    """Nx3 float32: the sun itself in a mirror that looks along ``directions``, spread by a paint's fine waves."""
    angle = 1 - directions @ sky.sun_direction
    return np.exp(-angle / np.float32(0.0025))[:, None] * (24 * sky.sun_light)


def surroundings(colors: np.ndarray, found: np.ndarray, directions: np.ndarray, sky: Sky) -> np.ndarray:
    """Nx3 float32 light that arrives along ``directions`` (Nx3) at a mirror.

    Args:
        colors: Nx3 float32, albedo of what stands there.
        found: N bool, whether anything stands there; else it is the sky.
        directions: Nx3 float32, unit.
        sky: the light.
    """
    light = sky.radiance(directions)
    down = directions[:, 2] < 0
    brightness = 0.5 * sky.sun_light * np.maximum(sky.sun_direction[2], np.float32(0.3)) + 0.6 * sky.ambient
    light[down] = np.float32(0.12) * brightness
    light[found] = colors[found] * np.where(down[found, None], 1.3, 0.7) * brightness
    return light


def through_haze(light: np.ndarray, distance: np.ndarray, sky: Sky, haze: float) -> np.ndarray:
    """Nx3 light after ``distance`` metres (N) of air; ``haze`` metres take 63 % of the contrast."""
    share = np.exp(-distance / np.float32(haze))[:, None]
    return light * share + sky.horizon * (1 - share)


def dapples(places: np.ndarray, sky: Sky) -> np.ndarray:
    """N float32, the share of the sun that comes through a tree's leaves at Nx3 places behind them."""
    # The pattern of the leaves' gaps is constant along the sun's rays.
    side = np.cross(sky.sun_direction, [0, 0, 1]).astype(np.float32)
    side /= max(float(np.linalg.norm(side)), 1e-6)
    other = np.cross(side, sky.sun_direction).astype(np.float32)
    flat = np.stack([places @ side, places @ other], axis=1) * np.float32(1.1)
    return np.clip(2.4 * noise(flat, np.full(len(flat), 0.02, np.float32)) - 1.1, 0.02, 0.85)
