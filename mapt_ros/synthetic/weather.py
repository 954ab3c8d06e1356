"""Draws cameras, weather and sensors: as varied as those of real recordings, KITTI's the most frequent."""

import numpy as np

from mapt_ros.synthetic.view import Camera, Sensor, Weather

# KITTI's colour camera 2 after rectification, at 375x1242 pixels (calibration files of the raw data).
_KITTI_SIZE = (375, 1242)
_KITTI_FOCAL = 721.5
_KITTI_CENTER = (609.6, 172.9)


def random_camera(rng: np.random.Generator, height: int = 192, width: int = 640) -> Camera:
    """KITTI's camera in more than half of all cases (scaled to the rows), else one around it."""
    scale = height / _KITTI_SIZE[0]
    focal = _KITTI_FOCAL * scale
    center = (_KITTI_CENTER[0] * width / _KITTI_SIZE[1], _KITTI_CENTER[1] * scale)
    if rng.random() < 0.6:
        return Camera(height, width, focal, center, 1.65, float(rng.normal(0, 0.006)))
    shift = rng.normal(0, 0.02, 2) * (width, height)
    return Camera(
        height,
        width,
        focal * float(np.exp(rng.uniform(-0.35, 0.3))),
        (float(center[0] + shift[0]), float(center[1] + shift[1])),
        float(rng.uniform(1.2, 2.3)),
        float(rng.normal(0.01, 0.025)),
    )


def random_weather(rng: np.random.Generator) -> Weather:
    """Half the time a clear day, else a low sun, broken clouds, an overcast sky or haze."""
    kind = rng.choice(["clear", "low", "broken", "overcast", "hazy"], p=[0.42, 0.18, 0.16, 0.16, 0.08])
    elevation = rng.uniform(0.12, 0.35) if kind == "low" else rng.uniform(0.4, 1.05)
    sun = {"overcast": 0.0, "hazy": rng.uniform(0.15, 0.5), "broken": rng.uniform(0.6, 0.95)}.get(
        kind, rng.uniform(0.9, 1.0)
    )
    if kind == "overcast" and rng.random() < 0.5:
        sun = rng.uniform(0.03, 0.2)
    clouds = {
        "clear": rng.uniform(0, 0.3),
        "low": rng.uniform(0, 0.45),
        "broken": rng.uniform(0.4, 0.7),
        "overcast": 1.0,
        "hazy": rng.uniform(0.2, 0.8),
    }
    haze = {"hazy": rng.uniform(90, 300), "overcast": rng.uniform(250, 1500)}.get(kind, rng.uniform(700, 4000))
    # Light near the horizon has passed more air: it is redder.
    red = float(np.exp(-elevation / 0.28))
    color = (1.0, 0.96 - 0.22 * red, 0.89 - 0.42 * red)
    blue = rng.uniform(0.6, 1.0)
    return Weather(
        sun_azimuth=float(rng.uniform(-np.pi, np.pi)),
        sun_elevation=float(elevation),
        sun=float(sun),
        sun_softness=float(rng.uniform(0.006, 0.014) if sun > 0.55 else rng.uniform(0.05, 0.2)),
        sun_color=color,
        sky_color=(1 - 0.62 * blue, 1 - 0.36 * blue, 1.0),
        cloudiness=float(clouds[kind]),
        haze=float(haze),
        seed=int(rng.integers(1 << 30)),
    )


def random_sensor(rng: np.random.Generator) -> Sensor:
    """Mostly like KITTI's: bright, hard, cool, hardly any noise; sometimes dim, soft, warm, grainy or compressed."""
    kitti = rng.random() < 0.6
    cool = rng.normal(0.04, 0.02) if kitti else rng.normal(0, 0.06)
    green = rng.normal(0.01, 0.01) if kitti else rng.normal(0, 0.025)
    quality = None if rng.random() < (0.7 if kitti else 0.4) else int(rng.integers(45, 96))
    return Sensor(
        exposure=float(np.exp(rng.normal(0.8, 0.22) if kitti else rng.normal(0.55, 0.4))),
        contrast=float(rng.uniform(1.15, 1.5) if kitti else rng.uniform(0.85, 1.5)),
        white_balance=(float(1 - cool), float(1 + green), float(1 + cool)),
        blur=float(rng.uniform(0.35, 0.55) if kitti else rng.uniform(0.3, 1.0)),
        shutter=float(rng.uniform(0.01, 0.08) if kitti else rng.choice([0.03, 0.15, 0.3]) * rng.uniform(0.5, 1.3)),
        noise=float(rng.uniform(0.6, 2.0) if kitti else rng.uniform(0.5, 5.0)),
        vignette=float(rng.uniform(0.05, 0.25)),
        jpeg_quality=quality,
    )
