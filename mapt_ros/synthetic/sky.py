"""The sky of a sequence: its brightness in every direction, seen directly and mirrored in paint and glass."""

import numpy as np

from mapt_ros.synthetic.textures import noise
from mapt_ros.synthetic.view import Weather


class Sky:
    """Light from above, in units of white paper facing a full sun.

    Attributes:
        sun_direction: 3 float32, unit, towards the sun.
        sun_light: 3 float32, what the sun gives to a surface facing it.
        ambient: 3 float32, what an open sky gives to a surface lying flat.
        horizon: 3 float32, the sky just above the horizon; distant things fade into it.
    """

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        azimuth, elevation = weather.sun_azimuth, weather.sun_elevation
        self.sun_direction = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], np.float32
        )
        self.sun_light = np.array(weather.sun_color, np.float32) * np.float32(weather.sun)
        strength = 0.22 + 0.5 * (1 - weather.sun)
        blue = np.array(weather.sky_color, np.float32) / np.mean(weather.sky_color)
        grey = np.float32(max(weather.cloudiness, 1 - weather.sun))
        tint = blue * (1 - grey) + np.array([0.97, 1.0, 1.04], np.float32) * grey
        self.zenith = (tint * strength * (0.55 + 0.45 * grey)).astype(np.float32)
        self.ambient = ((0.5 * tint + 0.5) * strength).astype(np.float32)
        pale = 0.25 * tint + 0.75 * np.array([1.0, 1.0, 1.0], np.float32)
        self.horizon = (pale * (0.55 + 0.35 * weather.sun)).astype(np.float32)

    def radiance(self, directions: np.ndarray) -> np.ndarray:
        """Nx3 float32 light from Nx3 unit directions above the horizon; below it the horizon goes on."""
        up = np.clip(directions[:, 2], 0, 1)
        share = np.sqrt(up)[:, None]
        light = self.horizon + (self.zenith - self.horizon) * share
        cosine = np.clip(directions @ self.sun_direction, 0, 1)
        glow = 0.5 * cosine**6 + 1.6 * cosine**48
        light = light + (glow * self._weather.sun)[:, None] * np.array(self._weather.sun_color, np.float32)
        if self._weather.cloudiness > 0:
            # Clouds lie on a plane high above; towards the horizon they crowd together.
            flat = directions[:, :2] / (up + 0.12)[:, None]
            puff = noise(flat * 0.9, 0.02 / (up + 0.05), self._weather.seed)
            cover = np.clip((puff - 0.75 + self._weather.cloudiness) * 2.5, 0, 1)[:, None]
            light = light * (1 - cover) + cover * (self.horizon * 1.1 + glow[:, None] * 0.3)
        return light.astype(np.float32)
