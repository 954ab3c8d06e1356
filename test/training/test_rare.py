"""Classes that few frames show: found in the labels, and samples drawn for them."""

import cv2
import numpy as np
import pytest

from mapt_ros.data.augment import AugmentConfig
from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR, labels_to_step_png
from mapt_ros.data.targets import semantic_target
from mapt_ros.training.interval import FixedInterval
from mapt_ros.training.loader import Samples
from mapt_ros.training.rare import rare_frames, some_pixel
from mapt_ros.training.recipe import Stage

BUS, POLE = 15, 5


@pytest.fixture
def with_a_bus(make_dataset, drawn):
    """Two sequences of five frames; a bus stands at the lower right of two frames, a speck of a pole in another."""
    folder = make_dataset()
    for sequence, t, area, kind in (
        (0, 0, np.s_[52:62, 110:124], BUS),
        (1, 3, np.s_[52:62, 110:124], BUS),
        (1, 1, np.s_[0:3, 0:3], POLE),
    ):
        labels = drawn(sequence, t)[1]
        labels[area] = kind * LABEL_DIVISOR
        path = folder / "panoptic_maps/train" / f"{sequence:04d}" / f"{t:06d}.png"
        cv2.imwrite(str(path), labels_to_step_png(labels)[..., ::-1])
    return open_dataset(folder)


def samples(dataset, stage, share):
    rare = rare_frames([dataset], KITTI_STEP)
    config = AugmentConfig(scale=(1, 1.5), copies=0)
    return Samples([dataset], stage, KITTI_STEP, config, FixedInterval(frames=1), 64.0, (0,), rare, share)


def test_rare_is_what_less_than_half_of_the_frames_show(with_a_bus):
    # Road, building, sky and cars stand in every frame, and nine pixels of a pole show none.
    assert rare_frames([with_a_bus], KITTI_STEP) == {BUS: [(0, 0, 0), (0, 1, 3)]}


def test_a_crop_drawn_for_a_class_shows_it(with_a_bus):
    stage = Stage(kind="images", steps=1, batch=1, crop=(24, 32))
    drawn_for_it, anywhere = (samples(with_a_bus, stage, share) for share in (1, 0))

    def shows(part):
        frames = [part[n][2][0] for n in range(30)]
        return sum(BUS in semantic_target(labels, KITTI_STEP) for _, labels in frames)

    assert shows(drawn_for_it) == 30
    assert shows(anywhere) < 10


def test_only_frames_that_end_a_pair_are_drawn_for_pairs(with_a_bus):
    part = samples(with_a_bus, Stage(kind="pairs", steps=1, batch=1), 1.0)
    assert {part[n][0] for n in range(8)} == {
        f"{with_a_bus.sequences[1].image_files[3]} (tau 1)"  # the first frame of sequence 0 has none before it
    }


def test_the_share_is_kept_and_a_number_decides(with_a_bus):
    part = samples(with_a_bus, Stage(kind="images", steps=1, batch=1), 0.5)
    names = [part[n][0] for n in range(60)]
    buses = [str(with_a_bus.sequences[s].image_files[t]) for s, t in ((0, 0), (1, 3))]
    assert 25 < sum(name in buses for name in names) < 55  # half, and what of the other half shows it
    assert names == [part[n][0] for n in range(60)]


def test_a_pixel_is_one_of_the_class(with_a_bus):
    labels, random = with_a_bus.sequences[0].labels(0), np.random.default_rng(0)
    for _ in range(5):
        row, column = some_pixel(labels, KITTI_STEP, BUS, random)
        assert labels[row, column] // LABEL_DIVISOR == BUS
    assert some_pixel(labels, KITTI_STEP, 3, random) is None
