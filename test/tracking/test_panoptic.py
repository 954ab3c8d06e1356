"""Panoptic fusion: every pixel has one owner, every kept instance a pixel."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR, decode_labels
from mapt_ros.model.instance import Detections
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.panoptic import fuse, paint, paste, regions, without_doubtful

CONFIG = TrackerConfig(min_stuff_area=0)
HEIGHT, WIDTH = 24, 40
ROAD, SKY, PERSON, CAR = 0, 10, 11, 13
CAR_LABEL = 2  # 1 + index among the things


def road_and_sky() -> torch.Tensor:
    """Semantic logits: sky above row 8, road below, all else unlikely."""
    logits = torch.full((19, HEIGHT, WIDTH), -5.0)
    logits[SKY, :8] = 3
    logits[ROAD, 8:] = 3
    return logits


def detections(*boxes, scores=None, logit: float = 8.0, labels=None) -> Detections:
    count = len(boxes)
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(scores or [0.9 - 0.01 * i for i in range(count)]),
        torch.tensor(labels or [CAR_LABEL] * count),
        torch.full((count, 28, 28), logit),
        torch.zeros(count, 4),
    )


def fused(logits, found, config=CONFIG):
    result = fuse(logits, found, KITTI_STEP, config)
    return result, result.owner.numpy(), result.stuff.numpy()


def test_an_instance_takes_its_box_from_the_stuff_and_nothing_else():
    logits = road_and_sky()
    logits[CAR, 10:20, 5:15] = 2
    result, owner, stuff = fused(logits, detections((5, 10, 15, 20)))
    expected = np.full((HEIGHT, WIDTH), -1)
    expected[10:20, 5:15] = 0
    assert result.kept == [0] and (owner == expected).all()
    assert (stuff[owner == 0] == 255).all() and stuff[0, 0] == SKY and stuff[-1, 0] == ROAD


def test_outside_its_box_an_instance_never_wins_even_where_all_stuff_is_unlikely():
    result, owner, _ = fused(torch.full((19, HEIGHT, WIDTH), -5.0), detections((5, 10, 15, 20)))
    assert result.kept == [0] and (owner[10:20, 5:15] == 0).all() and (owner == 0).sum() == 100


def test_a_weak_detection_is_ignored():
    result, owner, _ = fused(road_and_sky(), detections((5, 10, 15, 20), scores=[0.49]))
    assert result.kept == [] and (owner == -1).all()


def test_a_detection_of_which_more_than_half_is_taken_is_skipped():
    first = (5, 10, 15, 20)
    assert fused(road_and_sky(), detections(first, (6, 10, 16, 20)))[0].kept == [0]
    assert fused(road_and_sky(), detections(first, (11, 10, 21, 20)))[0].kept == [0, 1]


def test_an_instance_that_loses_every_pixel_is_not_kept_and_the_rest_close_ranks():
    logits = road_and_sky()
    logits[CAR] = 2
    found = detections((5, 10, 15, 20), (20, 10, 30, 20), (31, 10, 39, 20))
    found.mask_logits[1] = 0.01  # a mask, but weaker than the road
    logits[ROAD, :, 20:30] = 30
    result, owner, _ = fused(logits, found)
    assert result.kept == [0, 2]
    assert set(np.unique(owner)) == {-1, 0, 1} and owner[15, 35] == 1


def test_small_stuff_becomes_unlabelled():
    logits = road_and_sky()
    logits[2, :2, :3] = 9  # six pixels of building
    assert (fused(logits, detections(), TrackerConfig(min_stuff_area=6))[2] == 2).sum() == 6
    stuff = fused(logits, detections(), TrackerConfig(min_stuff_area=7))[2]
    assert (stuff == 2).sum() == 0 and (stuff == 255).sum() == 6


def doubtful_building() -> torch.Tensor:
    """Building wins four columns of the sky by a little and is not unlikely in the rest of it."""
    logits = torch.full((19, HEIGHT, WIDTH), -30.0)
    logits[ROAD, 8:] = 3
    logits[SKY, :8] = 3
    logits[2, :8] = 2
    logits[2, :8, :4] = 4
    return logits


def expected_iou() -> float:
    """Of that building: what it has where it wins, over the pixels it wins and what it has elsewhere."""
    wins, elsewhere = torch.tensor([[3.0, 4.0], [3.0, 2.0]]).softmax(dim=1)[:, 1].tolist()
    return 4 * wins / (4 + 36 * elsewhere)


def test_stuff_that_expects_little_overlap_leaves_its_place_to_the_next_best():
    logits = doubtful_building()
    kept, left = (
        without_doubtful(logits[None], KITTI_STEP, expected_iou() + margin, (HEIGHT, WIDTH), 1)[0].argmax(dim=0)
        for margin in (-0.01, 0.01)
    )
    assert (kept[:8, :4] == 2).all() and (left[:8] == SKY).all() and torch.equal(kept[8:], left[8:])


def test_the_surest_stuff_always_competes_and_things_are_left_alone():
    logits = doubtful_building()
    logits[CAR, 20:] = 2.5
    result = without_doubtful(logits[None], KITTI_STEP, 0.999, (HEIGHT, WIDTH), 1)[0]
    competing = [c for c in range(19) if not (result[c] == -1e4).all()]
    assert len([c for c in competing if not KITTI_STEP.classes[c].is_thing]) == 1
    assert torch.equal(result[CAR], logits[CAR])


def test_what_lies_beyond_the_image_does_not_count():
    logits = torch.nn.functional.pad(doubtful_building(), (0, 8, 0, 8), value=0.0)
    least = expected_iou() - 0.01
    inside = without_doubtful(logits[None], KITTI_STEP, least, (2 * HEIGHT - 1, 2 * WIDTH), 2)
    assert (inside[0, :, :8, :4].argmax(dim=0) == 2).all()
    outside = without_doubtful(logits[None], KITTI_STEP, least, (2 * HEIGHT + 16, 2 * WIDTH + 16), 2)
    assert (outside[0, :, :8, :4].argmax(dim=0) == SKY).all()


def test_no_detection_at_all():
    result, owner, stuff = fused(road_and_sky(), detections())
    assert result.kept == [] and (owner == -1).all() and set(np.unique(stuff)) == {ROAD, SKY}
    assert regions(owner, 0) == []


@pytest.mark.parametrize("box", [(-5, -5, 4, 4), (36, 20, 60, 50), (3.4, 5.6, 3.5, 5.7), (50, 50, 60, 60)])
def test_pasting_stays_inside_the_image(box):
    (rows, columns), logits = paste(torch.ones(28, 28), box, HEIGHT, WIDTH)
    assert 0 <= rows.start <= rows.stop <= HEIGHT and 0 <= columns.start <= columns.stop <= WIDTH
    assert logits.shape == (rows.stop - rows.start, columns.stop - columns.start)


def test_pasting_keeps_left_left_and_up_up():
    mask = torch.full((28, 28), -4.0)
    mask[:14, :7] = 4
    (rows, columns), logits = paste(mask, (8.0, 4.0, 28.0, 16.0), HEIGHT, WIDTH)
    assert (rows, columns) == (slice(4, 16), slice(8, 28))
    expected = torch.zeros(12, 20, dtype=torch.bool)
    expected[:6, :5] = True
    assert ((logits > 0) == expected).all()


def test_regions_are_measured_on_the_pixels():
    owner = np.full((6, 8), -1, dtype=np.int16)
    owner[1:3, 2:6] = 0
    owner[5, 7] = 1
    first, second = regions(owner, 2)
    assert (first.box, first.area, first.x, first.y) == ((2, 1, 6, 3), 8, 4.0, 2.0)
    assert (second.box, second.area, second.x, second.y) == ((7, 5, 8, 6), 1, 7.5, 5.5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 8))
def test_labels_never_overlap_and_every_kept_instance_is_in_them(seed, count):
    random = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 4, generator=random) * torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    boxes = torch.cat([torch.minimum(corners[:, :2], corners[:, 2:]), torch.maximum(corners[:, :2], corners[:, 2:])], 1)
    found = Detections(
        boxes,
        torch.rand(count, generator=random).sort(descending=True).values,
        torch.randint(1, 3, (count,), generator=random),
        torch.randn(count, 28, 28, generator=random) * 4,
        torch.zeros(count, 4),
    )
    logits = torch.randn(19, HEIGHT, WIDTH, generator=random) * 3
    result = fuse(logits, found, KITTI_STEP, TrackerConfig(score_threshold=0.2, min_stuff_area=5))
    owner = result.owner.numpy()
    assert sorted(set(np.unique(owner)) - {-1}) == list(range(len(result.kept)))
    things = [KITTI_STEP.things[int(found.labels[i]) - 1].id for i in result.kept]
    labels = paint(owner, result.stuff.numpy(), [c * LABEL_DIVISOR + i + 1 for i, c in enumerate(things)])
    classes, ids = decode_labels(labels)
    assert labels.dtype == np.int32
    assert set(np.unique(ids)) == {0, *range(1, len(things) + 1)} - ({0} if (ids > 0).all() else set())
    assert ((classes == PERSON) | (classes == CAR))[ids > 0].all()
    assert not np.isin(classes[ids == 0], (PERSON, CAR)).any()
