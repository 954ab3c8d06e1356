"""Label maps become what the losses compare with, and nothing is lost or invented."""

import numpy as np
import torch

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR
from mapt_ros.data.targets import crowd_mask, instance_targets, labelled_things, semantic_target

CAR, PERSON, ROAD = 13, 11, 0


def label_map() -> np.ndarray:
    labels = np.full((6, 8), ROAD * LABEL_DIVISOR, dtype=np.int32)
    labels[1:3, 2:5] = CAR * LABEL_DIVISOR + 7
    labels[4, 0] = PERSON * LABEL_DIVISOR + 300
    labels[5, 6:] = CAR * LABEL_DIVISOR  # crowd
    labels[0, 0] = -1
    return labels


def test_classes_become_channels_and_unlabelled_is_ignored():
    target = semantic_target(label_map(), KITTI_STEP)
    assert target.dtype == torch.int64
    assert target[0, 0] == 255 and target[0, 1] == ROAD and target[1, 2] == CAR and target[5, 7] == CAR


def test_things_have_boxes_masks_and_ids_and_crowd_has_none():
    things = instance_targets(label_map(), KITTI_STEP)
    assert things.track_ids.tolist() == [PERSON * LABEL_DIVISOR + 300, CAR * LABEL_DIVISOR + 7]
    assert things.labels.tolist() == [1, 2]  # person, car
    assert things.boxes.tolist() == [[0, 4, 1, 5], [2, 1, 5, 3]]
    assert things.masks.sum(dim=(1, 2)).tolist() == [1, 6]


def test_a_frame_without_things():
    things = instance_targets(np.zeros((6, 8), dtype=np.int32), KITTI_STEP)
    assert things.boxes.shape == (0, 4) and things.masks.shape == (0, 6, 8)


def test_tracks_of_two_classes_stay_apart_even_under_one_id():
    labels = np.array([[CAR * LABEL_DIVISOR + 1, PERSON * LABEL_DIVISOR + 1]], dtype=np.int32)
    assert len(set(instance_targets(labels, KITTI_STEP).track_ids.tolist())) == 2


def test_crowd_is_what_belongs_to_a_thing_class_without_an_id():
    mask = crowd_mask(label_map(), KITTI_STEP)
    assert mask.dtype == torch.bool and mask.nonzero().tolist() == [[5, 6], [5, 7]]


def test_frames_together_hold_what_they_hold_one_by_one():
    empty = np.zeros((6, 8), dtype=np.int32)
    maps = [label_map(), empty, label_map()[::-1].copy(), label_map()[:, ::-1].copy()]
    together = labelled_things(maps, KITTI_STEP).to("cpu").instances(KITTI_STEP)
    for labels, things in zip(maps, together, strict=True):
        alone = instance_targets(labels, KITTI_STEP)
        for name in ("boxes", "labels", "masks", "track_ids"):
            value = getattr(things, name)
            assert torch.equal(value, getattr(alone, name)) and value.dtype == getattr(alone, name).dtype
    assert [things.crowd is None for things in together] == [False, True, False, False]
    assert torch.equal(together[2].crowd, crowd_mask(maps[2], KITTI_STEP))
