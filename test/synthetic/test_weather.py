"""Random cameras, weather and sensors: within bounds, varied, KITTI's camera the most frequent."""

import numpy as np

from mapt_ros.synthetic.sky import Sky
from mapt_ros.synthetic.weather import random_camera, random_sensor, random_weather


def test_kittis_camera_is_the_most_frequent_and_others_vary():
    cameras = [random_camera(np.random.default_rng(seed), 375, 1242) for seed in range(200)]
    kitti = [c for c in cameras if abs(c.focal - 721.5) < 1e-6 and c.mounting_height == 1.65]
    assert 0.45 < len(kitti) / len(cameras) < 0.8
    assert np.std([c.focal for c in cameras]) > 30 and np.ptp([c.mounting_height for c in cameras]) > 0.6
    small = random_camera(np.random.default_rng(0), 192, 640)
    assert (small.height, small.width) == (192, 640)


def test_weather_has_sun_shade_haze_and_low_sun():
    weathers = [random_weather(np.random.default_rng(seed)) for seed in range(200)]
    assert any(w.sun == 0 for w in weathers) and any(w.sun > 0.9 for w in weathers)
    assert any(w.haze < 300 for w in weathers) and any(w.sun_elevation < 0.3 for w in weathers)
    for weather in weathers:
        sky = Sky(weather)
        light = sky.radiance(np.array([[1, 0, 0.1], [0, 0, 1], [-1, 0, 0.0]], np.float32).T)
        assert np.isfinite(light).all() and light.min() >= 0
        flat = float((sky.sun_light * sky.sun_direction[2] + sky.ambient).mean())
        assert 0.3 < flat < 1.3  # the camera has adapted


def test_sensors_vary_and_the_seed_decides():
    sensors = [random_sensor(np.random.default_rng(seed)) for seed in range(100)]
    assert sensors[3] == random_sensor(np.random.default_rng(3))
    assert len({s.exposure for s in sensors}) == 100
    assert any(s.jpeg_quality is None for s in sensors) and any(s.jpeg_quality is not None for s in sensors)
