"""Hard copies of small instances are plausible, alike in both frames, and hide nobody else's majority."""

import numpy as np
import pytest

from mapt_ros.data.copies import copy_small_instances
from mapt_ros.data.labels import LABEL_DIVISOR

ROAD, BUILDING, CAR, PERSON = (LABEL_DIVISOR * class_id for class_id in (0, 2, 13, 11))
HEIGHT, WIDTH = 40, 160
SEEDS = range(25)


def scene(*boxes: tuple[int, int, int, int, int], ground: int = ROAD) -> tuple[np.ndarray, np.ndarray]:
    """A frame of boxes (label, top, left, height, width), the later in front, every instance in colours of its own."""
    labels = np.full((HEIGHT, WIDTH), ground, np.int32)
    for label, top, left, height, width in boxes:
        labels[top : top + height, left : left + width] = label
    image = np.random.default_rng(0).integers(100, 120, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    image[labels % LABEL_DIVISOR > 0] = 0
    image[..., 0] += (labels % LABEL_DIVISOR * 10).astype(np.uint8)
    return image, labels


def area(labels: np.ndarray, label: int) -> int:
    return int((labels == label).sum())


def left_of(labels: np.ndarray, label: int) -> int:
    return int(np.nonzero((labels == label).any(axis=0))[0][0])


def test_a_copy_moves_as_its_original_under_a_new_id_in_its_own_rows():
    frames = [scene((CAR + 3, 20, 50, 6, 10)), scene((CAR + 3, 21, 54, 6, 10), (PERSON + 8, 10, 150, 3, 2))]
    copied = 0
    for seed in SEEDS:
        (_, old), (after, new) = copy_small_instances(frames, 1, (40, 100), np.random.default_rng(seed))
        if not (new == CAR + 9).any():  # no place found
            continue
        copied += 1
        offset = left_of(new, CAR + 9) - 54
        assert offset != 0 and left_of(old, CAR + 9) - 50 == offset
        whole = area(new, CAR + 9) == 60 and area(old, CAR + 9) == 60
        if whole and abs(offset) > 12:
            assert (after[21:27, 54 + offset : 64 + offset][1:-1, 1:-1] == after[21:27, 54:64][1:-1, 1:-1]).all()
            assert (np.nonzero((old == CAR + 9).any(axis=1))[0] == np.arange(20, 26)).all()
            assert (np.nonzero((new == CAR + 9).any(axis=1))[0] == np.arange(21, 27)).all()
        changed = (after != frames[1][0]).any(axis=-1)
        assert not changed[new != CAR + 9].any()  # pixels change where labels do
    assert copied > 15


def test_an_instance_that_is_only_in_the_last_frame_is_copied_there():
    frames = [scene(), scene((CAR + 1, 20, 50, 6, 10))]
    results = [copy_small_instances(frames, 1, (40, 100), np.random.default_rng(seed)) for seed in SEEDS]
    assert any(CAR + 2 in new for _, (_, new) in results)
    assert all((old == frames[0][1]).all() for (_, old), _ in results)


def test_several_copies_are_tracks_of_their_own():
    boxes = [(CAR + i, 20, 20 * i, 4 + i, 6) for i in (1, 2, 3)]
    most = 0
    for seed in SEEDS:
        ((_, labels),) = copy_small_instances([scene(*boxes)], 3, (10, 100), np.random.default_rng(seed))
        copies = [label for label in np.unique(labels) if label > CAR + 3]
        most = max(most, len(copies))
        assert all(np.ptp(np.nonzero(labels == label)[1]) < 6 for label in copies)  # one box wide
    assert most == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_loses_the_majority_of_its_pixels(seed):
    rng = np.random.default_rng(seed)
    boxes = [
        (
            CAR + i + 1,
            int(rng.integers(2, 28)),
            int(rng.integers(1, 145)),
            int(rng.integers(3, 9)),
            int(rng.integers(4, 12)),
        )
        for i in range(12)
    ]
    moved = [(label, top, min(left + 3, 147), height, width) for label, top, left, height, width in boxes]
    frames = [scene(*boxes), scene(*moved)]
    for (_, before), (_, after) in zip(frames, copy_small_instances(frames, 6, (10, 200), rng)):
        for label in np.unique(before[before % LABEL_DIVISOR > 0]):
            assert area(after, label) >= 0.5 * area(before, label)


def test_nearer_instances_stay_in_front_and_farther_ones_are_covered():
    near, far = CAR + 1, CAR + 2
    frames = [scene((near, 18, 20, 16, 60), (far, 17, 90, 6, 60), (PERSON + 3, 20, 5, 5, 8))]
    behind = in_front = 0
    for seed in range(100):
        ((_, labels),) = copy_small_instances(frames, 1, (40, 40), np.random.default_rng(seed))
        assert area(labels, near) == 16 * 60
        behind += 20 <= area(labels, PERSON + 4) < 40
        in_front += area(labels, far) < 6 * 60
    assert behind and in_front


def test_a_copy_stands_on_what_its_original_stands_on():
    frames = [scene((BUILDING, 0, 60, HEIGHT, 100), (CAR + 1, 20, 10, 6, 10))]
    for seed in SEEDS:
        ((_, labels),) = copy_small_instances(frames, 1, (40, 100), np.random.default_rng(seed))
        columns = np.nonzero((labels == CAR + 2).any(axis=0))[0]
        assert not len(columns) or columns[0] <= 55  # most of its width is above road


def test_what_stands_in_front_of_a_farther_instance_is_copied():
    frames = [scene((PERSON + 2, 8, 18, 12, 14), (CAR + 1, 20, 20, 6, 10))]
    results = [copy_small_instances(frames, 1, (40, 100), np.random.default_rng(seed)) for seed in SEEDS]
    assert any(CAR + 3 in labels for ((_, labels),) in results)


@pytest.mark.parametrize(
    "boxes",
    [
        [(CAR + 1, 10, 20, 20, 20)],  # large
        [(CAR + 1, 20, 0, 6, 10)],  # cut by the edge
        [(CAR + 1, 34, 20, 6, 10)],  # likewise
        [(CAR + 1, 20, 20, 6, 10), (PERSON + 2, 10, 30, 20, 8)],  # half hidden, perhaps
        [(CAR, 20, 20, 6, 10)],  # crowd
    ],
)
def test_what_is_large_cut_hidden_or_crowd_is_not_copied(boxes):
    frames = [scene(*boxes)]
    for seed in SEEDS:
        ((image, labels),) = copy_small_instances(frames, 3, (40, 100), np.random.default_rng(seed))
        assert (labels == frames[0][1]).all() and (image == frames[0][0]).all()
