"""A tracker in tensors of fixed size tracks as the plain one does, on the CPU and as CUDA graphs."""

import copy

import numpy as np
import pytest
import torch

from mapt_ros import PanopticTracker
from mapt_ros.tracking import batch, scene
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.tracker import TrackerState

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"))]


def both(weights, device: str, **settings) -> list[PanopticTracker]:
    chosen = {"confirm_after": 1, "motion_threshold": 0.05} | settings
    return [PanopticTracker.load(weights, device=device, graphs=graphs, **chosen) for graphs in (False, True)]


def assert_alike(plain, fast, exact: bool = True):
    """Equal to the pixel; on CUDA, whose sums have no fixed order, nearly."""
    assert np.mean(plain.labels == fast.labels) >= (1.0 if exact else 0.99)
    assert (plain.sequence, plain.epoch, plain.stamp_ns) == (fast.sequence, fast.epoch, fast.stamp_ns)
    assert plain.labels.dtype == fast.labels.dtype and fast.labels.flags.owndata
    if exact:
        for one, other in zip(plain.instances, fast.instances, strict=True):
            for name in ("track_id", "class_id", "box", "area", "state", "association", "age", "frames_since_seen"):
                assert getattr(one, name) == getattr(other, name)
            for name in ("score", "x", "y", "vx", "vy", "association_score"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "settings",
    [{}, {"use_propagated_features": False}, {"max_taken": 0.1, "publish_lost": True}, {"min_stuff_iou": 0.07}],
)
def test_frames_are_those_of_the_plain_tracker(tiny_weights, tiny_drive, device, settings):
    plain, fast = both(tiny_weights, device, **settings)
    images = [image for image, _ in tiny_drive]
    for i, image in enumerate([*images, images[0][:64], images[1][:64], *images[2:]]):  # another size in between
        image = np.ascontiguousarray(image)
        assert_alike(plain(image, i * 100_000_000), fast(image, i * 100_000_000), device == "cpu")
    assert fast.graphs.capturing == (device == "cuda")


@pytest.mark.parametrize("device", DEVICES)
def test_cameras_in_one_batch_are_those_of_the_plain_tracker(tiny_weights, tiny_drive, device):
    plain, fast = both(tiny_weights, device)
    images = [image for image, _ in tiny_drive]
    states = [[tracker.new_state() for _ in range(2)] for tracker in (plain, fast)]
    for index in range(3):
        if index == 2:
            for pair in states:
                pair[0].reset()  # one camera has no predecessor
        pair = [images[index], np.ascontiguousarray(images[3 - index][:, ::-1])]
        frames = [tracker.step(pair, s, [index, index]) for tracker, s in zip((plain, fast), states)]
        for one, other in zip(*frames):
            assert_alike(one, other, device == "cpu")


@pytest.mark.parametrize("device", DEVICES)
def test_what_a_camera_remembers_is_not_overwritten_by_the_next_frame(tiny_weights, tiny_drive, device):
    _, fast = both(tiny_weights, device)
    images = [image for image, _ in tiny_drive]
    fast(images[0])
    old = copy.copy(fast.state)
    semantic, masks = old.previous.semantic.clone(), old.previous.masks.clone()
    labels = fast(images[1]).labels.copy()
    fast(images[2])
    assert torch.equal(old.previous.semantic, semantic) and torch.equal(old.previous.masks, masks)
    again = fast.step([images[1]], [old], [None])[0]
    np.testing.assert_array_equal(again.labels, labels)


@pytest.mark.parametrize("device", DEVICES)
def test_two_trackers_do_not_know_of_each_other(tiny_weights, tiny_drive, device):
    first, alone = both(tiny_weights, device)[1], both(tiny_weights, device)[1]
    other = both(tiny_weights, device, score_threshold=0.3)[1]
    for i, (image, _) in enumerate(tiny_drive):
        frame = first(image, i)
        other(np.ascontiguousarray(image[:, ::-1]), i)
        np.testing.assert_array_equal(frame.labels, alone(image, i).labels)


def test_a_frame_whose_suppression_does_not_settle_is_done_the_plain_way(tiny_weights, tiny_drive, monkeypatch):
    plain, fast = both(tiny_weights, "cpu")
    monkeypatch.setattr(batch, "download", lambda tensors: [np.zeros(t.shape, np.float32) for t in tensors])
    for image, _ in tiny_drive[:2]:
        assert_alike(plain(image, 0), fast(image, 0))


def test_boxes_too_large_to_be_taken_at_once_are_taken_one_by_one(tiny_weights, tiny_drive, monkeypatch):
    plain, fast = both(tiny_weights, "cpu")
    monkeypatch.setattr(scene, "ROOM", 0.001)
    for image, _ in tiny_drive:
        assert_alike(plain(image, 0), fast(image, 0))


def test_no_detection_at_all(tiny_weights, tiny_drive):
    plain, fast = both(tiny_weights, "cpu", score_threshold=1.0)
    for image, _ in tiny_drive[:2]:
        assert_alike(plain(image), fast(image))
    assert isinstance(fast.state, TrackerState) and fast.settings == TrackerConfig.model_validate(plain.settings)
