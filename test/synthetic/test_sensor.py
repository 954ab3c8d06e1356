"""The sensor: exposure, clipping, noise, blur and compression do what their settings say."""

from dataclasses import replace

import numpy as np

from mapt_ros.synthetic.mesh import pose
from mapt_ros.synthetic.sensor import develop, image_flow
from mapt_ros.synthetic.view import Camera, Sensor

CLEAN = Sensor(exposure=1.0, blur=0.0, shutter=0.0, noise=0.0, vignette=0.0)


def flat(value: float) -> np.ndarray:
    return np.full((64, 96, 3), value, np.float32)


def halves() -> np.ndarray:
    light = flat(0.02)
    light[:, 48:] = 0.5
    return light


def test_more_exposure_is_brighter_until_it_clips():
    values = [develop(flat(0.2), replace(CLEAN, exposure=e), 0).mean() for e in (0.5, 1.0, 2.0, 8.0)]
    assert values[0] < values[1] < values[2] < values[3] == 255


def test_contrast_deepens_shadows_and_keeps_white():
    soft, hard = (develop(halves() * 3, replace(CLEAN, contrast=c), 0) for c in (1.0, 1.5))
    assert hard[:, :30].mean() < 0.7 * soft[:, :30].mean()
    assert hard[:, 70:].min() == soft[:, 70:].min() == 255


def test_white_balance_tints_in_its_order():
    red, green, blue = develop(flat(0.2), replace(CLEAN, white_balance=(0.8, 1.0, 1.2)), 0)[32, 48]
    assert red < green < blue


def test_noise_depends_on_its_seed_alone_and_is_of_its_strength():
    noisy = replace(CLEAN, noise=2.0)
    first, again, other = (develop(flat(0.2), noisy, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert 0.7 < first.astype(float).std() < 5
    assert abs(first.mean() - develop(flat(0.2), CLEAN, 0).mean()) < 1


def test_vignette_darkens_corners_only():
    picture = develop(flat(0.3), replace(CLEAN, vignette=0.4), 0)
    assert picture[0, 0, 0] < 0.9 * picture[32, 48, 0]


def test_motion_blurs_along_the_way():
    flow = np.zeros((64, 96, 2), np.float32)
    flow[..., 0] = 20
    sharp, smeared = develop(halves(), CLEAN, 0, flow), develop(halves(), replace(CLEAN, shutter=0.5), 0, flow)
    assert len(np.unique(smeared[32, :, 0])) > len(np.unique(sharp[32, :, 0]))
    across = flow[..., ::-1].copy()
    np.testing.assert_array_equal(develop(halves(), replace(CLEAN, shutter=0.5), 0, across), sharp)


def test_jpeg_keeps_the_picture_about_the_same():
    light = halves()
    packed = develop(light, replace(CLEAN, jpeg_quality=60), 0)
    assert packed.shape == light.shape and packed.dtype == np.uint8
    assert 0 < np.abs(packed.astype(int) - develop(light, CLEAN, 0)).mean() < 4


def test_flow_of_a_camera_that_turns_and_drives():
    camera = Camera(64, 96, 60.0, (48.0, 32.0))
    turned = image_flow(np.full((64, 96), 20.0, np.float32), camera, pose(0, 0, yaw=0.05))
    np.testing.assert_allclose(turned[32, 48], (60 * np.tan(0.05), 0), atol=1e-3)  # to the left: things go right
    driven = image_flow(np.full((64, 96), 20.0, np.float32), camera, pose(1.0, 0))
    assert driven[32, 90, 0] > 1 and driven[32, 6, 0] < -1 and driven[60, 48, 1] > 0.5
