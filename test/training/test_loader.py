"""Training samples hang on their number alone; files that cannot be read are told in one line."""

import numpy as np
import pytest
import torch

from mapt_ros.data.augment import AugmentConfig
from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.labels import KITTI_STEP
from mapt_ros.errors import InputError
from mapt_ros.training.interval import AdaptiveInterval, FixedInterval
from mapt_ros.training.loader import Samples, batches
from mapt_ros.training.recipe import Stage


def samples(folder, stage, interval=None):
    interval = interval or AdaptiveInterval(most=3)
    return Samples([open_dataset(folder)], stage, KITTI_STEP, AugmentConfig(), interval, 64.0, (0, 1))


def flat(batch):
    """All that a batch holds, in one order."""
    values = [*batch.names, *batch.seeds]
    for value in vars(batch.frames).values():
        values += [value] if torch.is_tensor(value) else [t for things in value for t in vars(things).values()]
    return values


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b) if torch.is_tensor(a) else a == b for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("kind", ["images", "pairs"])
def test_a_later_start_and_workers_change_nothing(dataset_folder, kind):
    stage = Stage(kind=kind, steps=5, batch=2, crop=(48, 96))
    whole = [flat(b) for b in batches(samples(dataset_folder, stage), stage, 0, 0, 1, workers=0)]
    resumed = [flat(b) for b in batches(samples(dataset_folder, stage), stage, 3, 0, 1, workers=2)]
    assert len(whole) == 5 and all(same(a, b) for a, b in zip(whole[3:], resumed, strict=True))
    assert not same(whole[0], whole[1])


def test_two_processes_have_the_two_halves_of_the_batch(dataset_folder):
    stage = Stage(kind="pairs", steps=1, batch=4, crop=(48, 96))
    whole, *halves = (
        next(batches(samples(dataset_folder, stage), stage, 0, rank, world, 0))
        for rank, world in ((0, 1), (0, 2), (1, 2))
    )
    assert whole.names == halves[0].names + halves[1].names
    assert torch.equal(whole.frames.current, torch.cat([half.frames.current for half in halves]))
    previous, current = zip(*(np.split(np.array(half.seeds), 2) for half in halves))
    assert whole.seeds == [*np.concatenate(previous), *np.concatenate(current)]


def test_every_frame_is_seen_once_before_any_is_seen_twice(dataset_folder):
    part = samples(dataset_folder, Stage(kind="images", steps=1, batch=1))
    turns = [[part.anchor(turn * 10 + place) for place in range(10)] for turn in range(2)]
    assert len(set(turns[0])) == len(set(turns[1])) == 10 and turns[0] != turns[1]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_file_is_one_line_with_its_name(make_dataset, workers):
    folder = make_dataset(sequences=1, frames=2)
    stage = Stage(kind="pairs", steps=1, batch=1)
    part = samples(folder, stage)
    (folder / "images/train/0000/000001.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"000001\.png") as caught:
        next(batches(part, stage, 0, 0, 1, workers))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("crop", "fine"), [(None, False), ((64, 128), True)])
def test_frames_of_several_sizes_need_a_crop(make_dataset, crop, fine):
    small, large = make_dataset("small", sequences=1, frames=2), make_dataset("large", sequences=1, frames=2, width=160)
    stage = Stage(kind="images", steps=1, batch=4, crop=crop)
    part = Samples(
        [open_dataset(small), open_dataset(large)], stage, KITTI_STEP, AugmentConfig(), AdaptiveInterval(), 64.0, (0,)
    )
    source = batches(part, stage, 0, 0, 1, 0)
    if fine:
        assert next(source).frames.images.shape == (4, 64, 128, 3)
    else:
        with pytest.raises(InputError, match="need a crop"):
            next(source)


def test_sequences_too_short_for_pairs_are_told_at_the_start(make_dataset):
    folder = make_dataset(sequences=1, frames=3)
    with pytest.raises(InputError, match="longer than every sequence"):
        samples(folder, Stage(kind="pairs", steps=1, batch=1), FixedInterval(frames=5))
    for kind in ("images", "panoptic_maps"):
        for frame in (1, 2):
            (folder / kind / "train" / "0000" / f"{frame:06d}.png").unlink()
    with pytest.raises(InputError, match="single frame"):
        samples(folder, Stage(kind="pairs", steps=1, batch=1))
