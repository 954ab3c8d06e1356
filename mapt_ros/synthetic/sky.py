"""The sky of a sequence: its brightness in every direction, seen directly and mirrored in paint and glass."""

import numpy as np

from mapt_ros.synthetic.textures import noise
from mapt_ros.synthetic.tracing import dot
from mapt_ros.synthetic.view import Weather


class Sky:
    """Light from above, in units of white paper that lies flat under this sky: the eye has adapted to it.

    Attributes:
        sun_direction: 3 float32, unit, towards the sun.
        sun_light: 3 float32, what the sun gives to a surface facing it.
        ambient: 3 float32, what an open sky gives to a surface lying flat.
        bounced: 3 float32, what the ground gives to a surface facing down.
        horizon: 3 float32, the sky just above the horizon; distant things fade into it.
        zenith: 3 float32, the sky overhead.
    """

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        azimuth, elevation = weather.sun_azimuth, weather.sun_elevation
        self.sun_direction = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], np.float32
        )
        color = np.array(weather.sun_color, np.float32)
        grey = np.float32(max(weather.cloudiness**2, 1 - weather.sun))
        blue = np.array(weather.sky_color, np.float32)
        tint = blue / blue.mean() * (1 - grey) + np.array([0.96, 1.0, 1.05], np.float32) * grey
        strength = 0.17 + 0.08 * weather.cloudiness + 0.5 * (1 - weather.sun)
        sun, ambient = color * np.float32(weather.sun), (0.6 * tint + 0.4) * strength
        flat = float((sun * max(float(self.sun_direction[2]), 0.0) + ambient).mean())
        # Towards a low sun a camera does not open fully: what faces the sun would burn out.
        adapted = 1 / (0.6 * flat + 0.4 * float((sun + ambient).mean()))
        self.sun_light = (sun * adapted).astype(np.float32)
        self.ambient = (ambient * adapted).astype(np.float32)
        self.bounced = (0.14 * (self.sun_light * max(float(self.sun_direction[2]), 0.0) + self.ambient)).astype(
            np.float32
        )
        self.zenith = (tint * strength * (0.75 + 0.25 * grey) * adapted).astype(np.float32)
        pale = 0.2 * tint + 0.8 * np.array([0.98, 1.0, 1.02], np.float32)
        self.horizon = (pale * (0.5 + 0.3 * grey) * adapted).astype(np.float32)
        self._glow = (color * weather.sun * adapted).astype(np.float32)

    def radiance(self, directions: np.ndarray) -> np.ndarray:
        """3xN float32 light from 3xN unit directions; below the horizon the horizon goes on."""
        up = np.clip(directions[2], 0, 1)
        horizon, zenith = self.horizon[:, None], self.zenith[:, None]
        light = horizon + (zenith - horizon) * (np.sqrt(up) * (1.6 - 0.6 * up))
        cosine = np.clip(dot(self.sun_direction, directions), 0, 1)
        fourth = np.square(np.square(cosine))
        eighth = np.square(fourth)
        sixteenth = np.square(eighth)
        halo = 0.4 * fourth * cosine
        halo += 1.8 * np.square(sixteenth) * sixteenth * eighth * fourth  # the cosine's 60th power
        glow = self._glow[:, None] * halo
        if self._weather.cloudiness > 0:
            # Clouds lie on a plane high above; towards the horizon they crowd together.
            far = 0.7 / (up + np.float32(0.1))
            puff = noise(
                directions[0] * far,
                directions[1] * far,
                0.004 / (up + np.float32(0.03)),
                self._weather.seed % 4096,
            )
            cover = np.clip((puff - 0.85 + self._weather.cloudiness) * 3, 0, 1)
            thick = np.clip((puff - 0.5) * 1.2, 0, 0.4)
            white = horizon * (1.15 - thick) + 0.25 * glow
            light += (white - light) * cover
        return light + glow
