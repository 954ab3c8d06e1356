"""All detections of all cameras at once own the pixels that they own one by one."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR
from mapt_ros.model.instance import Detections
from mapt_ros.tracking import scene
from mapt_ros.tracking.association import mask_overlap
from mapt_ros.tracking.batch import soft_iou
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.panoptic import fuse, paint, regions, without_doubtful
from mapt_ros.tracking.scene import canvas, cell_shares, label_maps, measured, owners
from mapt_ros.tracking.scene import regions as regions_of

HEIGHT, WIDTH = 24, 40
THINGS = [i for i, info in enumerate(KITTI_STEP.classes) if info.is_thing]


def random_scene(seed: int, count: int) -> tuple[torch.Tensor, Detections]:
    random = torch.Generator().manual_seed(seed)
    # Some beyond the edges, some empty, many on each other.
    corners = torch.rand(count, 4, generator=random) * torch.tensor([WIDTH + 8.0, HEIGHT + 8.0] * 2) - 4
    boxes = torch.cat([torch.minimum(corners[:, :2], corners[:, 2:]), torch.maximum(corners[:, :2], corners[:, 2:])], 1)
    found = Detections(
        boxes,
        torch.rand(count, generator=random).sort(descending=True).values,
        torch.randint(1, 3, (count,), generator=random),
        torch.randn(count, 28, 28, generator=random).cumsum(1).cumsum(2) / 8,
        torch.zeros(count, 4),
    )
    return torch.randn(19, HEIGHT, WIDTH, generator=random) * 3, found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 14), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_owners_regions_and_labels_are_those_of_the_fusion_one_by_one(seed, count, max_taken):
    """For two images at once, of one of which all but some detections lie below the threshold."""
    pictures = [random_scene(seed, count), random_scene(seed + 1, count)]
    pictures[0][1].scores[count // 2 :] = 0.0
    config = TrackerConfig(score_threshold=1e-6, max_taken=max_taken, min_stuff_area=30)
    seen = canvas(torch.stack([logits for logits, _ in pictures]), KITTI_STEP, (HEIGHT, WIDTH), (HEIGHT, WIDTH), 1)
    boxes, labels, masks, scores = (
        torch.stack([getattr(found, name) for _, found in pictures])
        for name in ("boxes", "labels", "mask_logits", "scores")
    )
    with patch.object(scene, "ROOM", 20.0), patch.object(scene, "ROUNDS", 15):
        owner, settled = owners(seen, boxes, labels, masks, scores >= config.score_threshold, torch.tensor(max_taken))
    assert settled.all()
    measures = measured(owner, count).numpy()
    ids = torch.zeros(2, count, dtype=torch.int32)
    wanted = []
    for i, (logits, found) in enumerate(pictures):
        one_by_one = fuse(logits, found, KITTI_STEP, config)
        wanted.append(one_by_one)
        ids[i, one_by_one.kept] = torch.arange(1, len(one_by_one.kept) + 1, dtype=torch.int32) + 13 * LABEL_DIVISOR
    painted = label_maps(owner, seen.winner, ids, KITTI_STEP, torch.tensor(30.0))
    for i, one_by_one in enumerate(wanted):
        positions = np.array([*one_by_one.kept, count])  # -1 is the last
        np.testing.assert_array_equal(owner[i].numpy(), positions[one_by_one.owner.numpy()])
        assert np.flatnonzero(measures[i, :, 0]).tolist() == sorted(one_by_one.kept)
        there = regions_of(measures[i, one_by_one.kept])
        for region, other in zip(there, regions(one_by_one.owner.numpy(), len(one_by_one.kept)), strict=True):
            assert (region.box, region.area) == (other.box, other.area)
            assert (region.x, region.y) == pytest.approx((other.x, other.y))
        np.testing.assert_array_equal(
            painted[i].numpy(),
            paint(one_by_one.owner.numpy(), one_by_one.stuff.numpy(), ids[i, one_by_one.kept].tolist()),
        )


def three_in_a_row(last: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Three boxes of which each covers a third or so of the next, the last reaching from ``last`` on."""
    boxes = torch.tensor([[[0, 0, 12, 10], [4, 0, 16, 10], [last, 0, last + 10, 10]]])
    seen = canvas(torch.full((1, 19, HEIGHT, WIDTH), -5.0), KITTI_STEP, (HEIGHT, WIDTH), (HEIGHT, WIDTH), 1)
    shape = (1, 3)
    arguments = torch.ones(shape, dtype=torch.long), torch.full((*shape, 28, 28), 8.0), torch.ones(shape).bool()
    return owners(seen, boxes.float(), *arguments, torch.tensor(0.4))


def test_who_was_skipped_takes_nothing_from_those_behind():
    """Of three in a row the second is skipped for the first's sake, so the third has all that it needs."""
    owner, settled = three_in_a_row(11)
    assert set(owner.unique().tolist()) == {0, 2, 3} and settled.all()


def test_too_few_rounds_and_too_little_room_are_told(monkeypatch):
    monkeypatch.setattr(scene, "ROUNDS", 1)
    assert not three_in_a_row(11)[1].any()
    monkeypatch.setattr(scene, "ROUNDS", 3)
    monkeypatch.setattr(scene, "ROOM", 0.2)
    assert not three_in_a_row(11)[1].any()


class Waiting(TorchDispatchMode):
    """Notes what would wait for a device: answers on the host, and outcomes as large as what was found."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        if any(part in name for part in ("local_scalar", "nonzero", "masked_select", "bincount")):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device():
    logits, least = torch.rand(1, 19, HEIGHT, WIDTH), torch.tensor(0.2)
    three_in_a_row(11)  # constants are made
    without_doubtful(logits, KITTI_STEP, least, (HEIGHT, WIDTH), 1)
    with Waiting() as waiting:
        without_doubtful(logits, KITTI_STEP, least, (HEIGHT, WIDTH), 1)
        owner, _ = three_in_a_row(11)
        measured(owner, 3)
        cell_shares(owner, 3, (HEIGHT + 8, WIDTH + 8), (4, 6), 8)
        label_maps(owner, owner.to(torch.uint8), torch.zeros(1, 3, dtype=torch.int32), KITTI_STEP, torch.tensor(30.0))
    assert waiting.names == []


def test_the_overlap_of_soft_masks_is_the_sum_of_minima_over_the_sum_of_maxima():
    torch.manual_seed(0)
    tracks, masks = torch.rand(3, 6, 9), torch.rand(4, 6, 9) * (torch.rand(4, 6, 9) > 0.7)
    tracks[1] = masks[2]
    wanted = mask_overlap(tracks.flatten(1).numpy(), masks.flatten(1).numpy())
    np.testing.assert_allclose(soft_iou(tracks, masks).numpy(), wanted, atol=1e-5)
    assert soft_iou(tracks[:0], masks).shape == (0, 4) and soft_iou(tracks, masks[:0]).shape == (3, 0)
