"""Variants of the tracker see the same frames as the tracker itself, and propagation is measured against staying put."""

import cv2
import numpy as np
import pytest
import torch

from mapt_ros import PanopticTracker
from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.labels import KITTI_STEP, MOTCHALLENGE_STEP, labels_to_step_png
from mapt_ros.data.targets import instance_targets
from mapt_ros.errors import InputError
from mapt_ros.evaluation.evaluate import Evaluator
from mapt_ros.evaluation.propagation import PropagationQuality, centroids, shuffled
from mapt_ros.evaluation.variants import STANDARD, compare
from mapt_ros.model.config import MotionConfig
from mapt_ros.model.motion import MotionField, MotionHead


@pytest.fixture
def drive(tmp_path, tiny_drive):
    for i, (image, labels) in enumerate(tiny_drive):
        for kind, pixels in (("images", image), ("panoptic_maps", labels_to_step_png(labels))):
            path = tmp_path / kind / "val" / "0000" / f"{i:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels[..., ::-1])
    return open_dataset(tmp_path, "val")


@pytest.fixture
def tracker(tiny_weights) -> PanopticTracker:
    return PanopticTracker.load(tiny_weights, device="cpu", confirm_after=1, motion_threshold=0.05)


def test_the_combined_variant_is_the_tracker_itself(tracker, drive, tiny_drive):
    comparison = compare(tracker, drive)
    assert list(comparison.evaluators) == [variant.name for variant in STANDARD]
    expected = Evaluator(KITTI_STEP)
    for i, (image, truth) in enumerate(tiny_drive):
        expected.add("0000", truth, tracker(image, i * 100_000_000).labels)
    assert comparison.evaluators["combined"].scores() == expected.scores()
    assert len(comparison.propagation.displacement) == 9  # three things, three steps


def test_datasets_of_other_classes_are_refused(tracker, drive):
    other = type(drive)(drive.folder, MOTCHALLENGE_STEP, drive.sequences)
    with pytest.raises(InputError, match="has the classes of motchallenge-step"):
        compare(tracker, other)


def test_a_field_that_knows_the_motion_beats_staying_put():
    """Everything moves by 8 pixels, two cells, to the right: looking two cells to the left finds it."""
    labels = [np.full((64, 96), -1, np.int32) for _ in range(2)]
    for t, frame in enumerate(labels):
        frame[16:32, 16 + 8 * t : 32 + 8 * t] = (13 << 24) + 1
    before, now = (instance_targets(frame, KITTI_STEP) for frame in labels)
    torch.testing.assert_close(centroids(now.masks) - centroids(before.masks), torch.tensor([[8.0, 0.0]]))
    head = MotionHead(8, MotionConfig(stride=4, channels=8, feature_channels=4, dilations=(1,)))
    offsets = torch.tensor([0.0, -2.0] * 9)[None, :, None, None].expand(1, 18, 16, 24)
    field = MotionField((offsets,), torch.ones(1, 1, 16, 24))
    quality = PropagationQuality()
    with torch.inference_mode():
        quality.add(head, field, before, now, (64, 96))
    assert quality.summary(7.0) == pytest.approx({"things": 1, "carried_iou": 1.0, "copied_iou": 1 / 3, "gain": 2 / 3})
    assert quality.summary(9.0)["gain"] is None


def test_shuffling_keeps_every_offset_and_none_in_its_place():
    offsets = torch.arange(18.0 * 40).view(1, 18, 5, 8)
    field = shuffled(MotionField((offsets,), torch.rand(1, 1, 5, 8)), torch.Generator().manual_seed(0))
    assert field.offsets[0].flatten().sort().values.equal(offsets.flatten())
    assert (field.offsets[0] == offsets).float().mean() < 0.2
