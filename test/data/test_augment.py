"""Augmentation changes both frames of a pair alike, keeps labels on their pixels, and never more than it is told to."""

import numpy as np
import pytest
from pydantic import ValidationError

from mapt_ros.data.augment import AugmentConfig, augment, augment_frames, colour_matrix
from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.data.pairs import FramePair

CAR = 13 * LABEL_DIVISOR + 1
NO_COLOUR = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0, "gamma": 0, "grayscale": 0}
NOTHING = {**NO_COLOUR, "blur": 0, "noise": 0, "jpeg": 0, "flip": 0, "scale": (1, 1), "copies": 0}


def config(**changes) -> AugmentConfig:
    return AugmentConfig(**{**NOTHING, **changes})


def flat(labels: np.ndarray) -> np.ndarray:
    """An image with one colour a label."""
    return np.stack([30 + 9 * (labels >> 24), 30 + 40 * (labels & 3), np.full_like(labels, 90)], axis=-1).astype(
        np.uint8
    )


@pytest.fixture
def pair(street) -> FramePair:
    return FramePair(*((flat(street(t)), street(t)) for t in (1, 3)), "0000", 1, 3)


@pytest.fixture
def still(street, image) -> FramePair:
    """A pair of twice the same frame: whatever differs afterwards was not drawn once for both."""
    return FramePair(*((image(street(2)), street(2)) for _ in range(2)), "0000", 1, 2)


def test_nothing_asked_for_changes_nothing(pair):
    result = augment(pair, config(), np.random.default_rng(0))
    for before, after in ((pair.previous, result.previous), (pair.current, result.current)):
        assert (before[0] == after[0]).all() and (before[1] == after[1]).all()
    assert (result.sequence, result.previous_index, result.index) == ("0000", 1, 3)


@pytest.mark.parametrize("crop", [None, (16, 20), (30, 70), (12, 64)])
def test_both_frames_get_one_draw_of_geometry_and_colour(still, crop):
    strong = AugmentConfig(crop=crop, noise=0, blur=0.5, jpeg=0.5, grayscale=0.2, copies=2, copy_area=(1, 100))
    results = [augment(still, strong, np.random.default_rng(seed)) for seed in range(20)]
    for result in results:
        assert (result.previous[0] == result.current[0]).all()
        assert (result.previous[1] == result.current[1]).all()
        assert result.current[0].shape == (*(crop or (24, 40)), 3) and result.current[0].dtype == np.uint8
        assert result.current[1].shape == (crop or (24, 40)) and result.current[1].dtype == np.int32
    assert len({result.current[0].tobytes() for result in results}) == 20


def test_noise_is_fresh_in_each_frame_though_equally_strong(still):
    result = augment(still, config(noise=1), np.random.default_rng(0))
    deviations = [
        np.std(r[0].astype(int) - b[0]) for r, b in zip((result.previous, result.current), [still.current] * 2)
    ]
    assert (result.previous[0] != result.current[0]).mean() > 0.5
    assert deviations[0] == pytest.approx(deviations[1], rel=0.1)


@pytest.mark.parametrize("seed", range(8))
def test_labels_stay_on_their_pixels(pair, seed):
    result = augment(pair, config(flip=0.5, scale=(0.5, 2), crop=(20, 30)), np.random.default_rng(seed))
    for image, labels in (result.previous, result.current):
        # Away from every border between labels, where resizing mixes colours.
        inside = np.pad(np.ones((18, 28), bool), 1)
        for y, x in np.ndindex(3, 3):
            inside[1:-1, 1:-1] &= labels[1:-1, 1:-1] == labels[y : y + 18, x : x + 28]
        inside &= labels >= 0
        assert inside.sum() > 50
        assert np.abs(image[inside].astype(int) - flat(labels)[inside]).max() <= 1


def test_padding_is_black_and_unlabelled_whatever_the_colours(pair):
    result = augment(pair, AugmentConfig(crop=(40, 60), scale=(1, 1), brightness=1, noise=1), np.random.default_rng(3))
    image, labels = result.current
    assert (labels >= 0).sum() == 24 * 40 - 1  # the frame has one unlabelled pixel itself
    rows, columns = np.nonzero(labels >= 0)
    outside = np.ones(labels.shape, bool)
    outside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = False
    assert outside.sum() == 40 * 60 - 24 * 40
    assert not image[outside].any() and (labels[outside] == -1).all()


def test_scale_makes_things_larger_and_flip_mirrors(pair):
    larger = augment(pair, config(scale=(2, 2), crop=(48, 80)), np.random.default_rng(0))
    assert (larger.current[1] == pair.current[1].repeat(2, 0).repeat(2, 1)).all()
    mirrored = augment(pair, config(flip=1), np.random.default_rng(0))
    assert (mirrored.previous[1] == pair.previous[1][:, ::-1]).all()
    assert (mirrored.previous[0] == pair.previous[0][:, ::-1]).all()


def test_crops_reach_every_corner(pair):
    results = [augment(pair, config(crop=(20, 36)), np.random.default_rng(seed)).current[1] for seed in range(200)]
    corners = {
        (y, x)
        for labels in results
        for y in range(5)
        for x in range(5)
        if (labels == pair.current[1][y : y + 20, x : x + 36]).all()
    }
    assert {(0, 0), (0, 4), (4, 0), (4, 4)} <= corners


def test_a_seed_decides_and_the_inputs_stay_as_they_are(still):
    before = [part.copy() for part in (*still.previous, *still.current)]
    everything = AugmentConfig(crop=(22, 38), copy_area=(1, 100), blur=1, noise=1, jpeg=1)
    first, second = (augment(still, everything, np.random.default_rng(5)) for _ in range(2))
    for a, b in zip((*first.previous, *first.current), (*second.previous, *second.current), strict=True):
        assert (a == b).all()
    for a, b in zip(before, (*still.previous, *still.current), strict=True):
        assert (a == b).all()


def test_a_single_frame_is_augmented_as_the_first_of_a_pair(still):
    quiet = AugmentConfig(crop=(22, 38), noise=0)
    alone = augment_frames([still.current], quiet, np.random.default_rng(9))
    paired = augment_frames([still.previous, still.current], quiet, np.random.default_rng(9))
    assert len(alone) == 1
    assert (alone[0][0] == paired[1][0]).all() and (alone[0][1] == paired[1][1]).all()


def test_grey_has_no_colour_and_hue_keeps_the_luma(still):
    grey = augment(still, config(grayscale=1), np.random.default_rng(0)).current[0].astype(int)
    assert np.ptp(grey, axis=-1).max() <= 1
    luma = np.array([0.299, 0.587, 0.114])
    assert np.allclose(colour_matrix(1, 0), np.eye(3))
    assert np.allclose(luma @ colour_matrix(0.4, 1.0), luma, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": (2, 0.5)}, "scale: a range goes"),
        ({"scale": (0, 1)}, "scale: a range goes"),
        ({"crop": (0, 64)}, "crop: height and width"),
        ({"jpeg_quality": (50, 101)}, "jpeg_quality: at most 100"),
        ({"flip": 1.5}, "flip"),
        ({"rotation": 5}, "rotation"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        AugmentConfig(**settings)
