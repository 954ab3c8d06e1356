"""All detections at once own the pixels that they own one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR
from mapt_ros.model.instance import Detections
from mapt_ros.tracking.association import mask_overlap
from mapt_ros.tracking.batch import soft_iou
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.panoptic import fuse, paint, regions
from mapt_ros.tracking.raster import canvas, depth, histograms, label_map, measured, owners, place

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
@given(st.integers(0, 2**31), st.integers(0, 14), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_owners_regions_and_labels_are_those_of_the_fusion_one_by_one(seed, count, max_taken):
    logits, found = random_scene(seed, count)
    config = TrackerConfig(score_threshold=0.0, max_taken=max_taken, min_stuff_area=30)
    one_by_one = fuse(logits, found, KITTI_STEP, config)
    wanted = one_by_one.owner.numpy()

    seen = canvas(logits, KITTI_STEP)
    channels = np.array([THINGS[int(label) - 1] for label in found.labels], dtype=np.int64)
    owner = owners(seen, place(found.boxes.numpy(), HEIGHT, WIDTH), channels, found.mask_logits, max_taken)
    positions = np.array([*one_by_one.kept, count])  # -1 is the last
    np.testing.assert_array_equal(owner.numpy(), positions[wanted])

    there = [region for region in measured(*(h.numpy() for h in histograms(owner, count))) if region is not None]
    for region, other in zip(there, regions(wanted, len(one_by_one.kept)), strict=True):
        assert (region.box, region.area) == (other.box, other.area)
        assert (region.x, region.y) == pytest.approx((other.x, other.y))

    labels = np.zeros(count, dtype=np.int32)
    labels[one_by_one.kept] = [13 * LABEL_DIVISOR + i + 1 for i in range(len(one_by_one.kept))]
    painted = label_map(owner, seen.winner, torch.from_numpy(labels), KITTI_STEP, config.min_stuff_area)
    np.testing.assert_array_equal(
        painted.numpy(), paint(wanted, one_by_one.stuff.numpy(), labels[one_by_one.kept].tolist())
    )


def test_a_chain_of_boxes_is_as_deep_as_it_is_long():
    chain = np.array([[2.0 * i, 0, 2.0 * i + 3, 5] for i in range(5)])
    assert depth(place(chain, HEIGHT, WIDTH)) == 5
    assert depth(place(chain[::2], HEIGHT, WIDTH)) == 1
    assert depth(place(np.zeros((0, 4)), HEIGHT, WIDTH)) == 0


def test_who_was_skipped_takes_nothing_from_those_behind():
    """Of three in a row the second is skipped for the first's sake, so the third has all that it needs."""
    boxes = np.array([[0, 0, 12, 10], [4, 0, 16, 10], [11, 0, 21, 10]], dtype=np.float32)
    seen = canvas(torch.full((19, HEIGHT, WIDTH), -5.0), KITTI_STEP)
    owner = owners(seen, place(boxes, HEIGHT, WIDTH), np.array([13] * 3), torch.full((3, 28, 28), 8.0), 0.4)
    assert set(owner.unique().tolist()) == {0, 2, 3}


def test_the_overlap_of_soft_masks_is_the_sum_of_minima_over_the_sum_of_maxima():
    torch.manual_seed(0)
    tracks, masks = torch.rand(3, 6, 9), torch.rand(4, 6, 9) * (torch.rand(4, 6, 9) > 0.7)
    tracks[1] = masks[2]
    wanted = mask_overlap(tracks.flatten(1).numpy(), masks.flatten(1).numpy())
    np.testing.assert_allclose(soft_iou(tracks, masks).numpy(), wanted, atol=1e-5)
    assert soft_iou(tracks[:0], masks).shape == (0, 4) and soft_iou(tracks, masks[:0]).shape == (3, 0)
