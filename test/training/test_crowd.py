"""What lies on crowd is neither a thing nor background to the detector."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR
from mapt_ros.data.targets import crowd_mask, instance_targets
from mapt_ros.model import instance
from mapt_ros.model.instance import covered
from mapt_ros.model.matching import choose_rois

CAR, PERSON, ROAD = 13, 11, 0


def test_the_share_of_a_box_under_a_mask():
    mask = torch.zeros(8, 10, dtype=torch.bool)
    mask[2:6, 4:8] = True
    boxes = torch.tensor([[4.0, 2, 8, 6], [0, 0, 4, 8], [6, 2, 10, 6], [6, 4, 30, 6], [-9, -9, -2, -2]])
    assert covered(boxes, mask).tolist() == [1, 0, 0.5, 0.5, 0]


@pytest.fixture
def street():
    """A road with a crowd on its left half and one car on its right."""
    labels = np.full((64, 128), ROAD, np.int32)
    labels[:, :64] = PERSON * LABEL_DIVISOR
    labels[20:44, 80:112] = CAR * LABEL_DIVISOR + 3
    return instance_targets(labels, KITTI_STEP), crowd_mask(labels, KITTI_STEP)


def test_an_anchor_on_crowd_is_no_background(tiny_network, street):
    targets, crowd = street
    anchors = torch.tensor([[10.0, 10, 40, 40], [70, 46, 78, 60], [80, 20, 112, 44]])  # on crowd, road, the car
    things = {"boxes": targets.boxes, "labels": targets.labels}
    rpn = tiny_network.instance.rpn
    assert rpn.assign_targets_to_anchors([anchors], [things])[0][0].tolist() == [0, 0, 1]
    assert rpn.assign_targets_to_anchors([anchors], [things | {"crowd": crowd}])[0][0].tolist() == [-1, 0, 1]


def test_no_proposal_on_crowd_reaches_the_box_loss(tiny_network, street, monkeypatch):
    targets, crowd = street
    head, seen = tiny_network.instance.train(), []
    monkeypatch.setattr(
        instance, "choose_rois", lambda proposals, *rest: seen.append(proposals[0]) or choose_rois(proposals, *rest)
    )
    images = torch.zeros(1, 3, 64, 128)
    for mask in (None, crowd):
        losses = head.losses(tiny_network.encode(images), [(64, 128)], images, [replace(targets, crowd=mask)])
        assert all(loss.isfinite() for loss in losses.values())
    assert (covered(seen[0], crowd) > 0.5).any() and not (covered(seen[1], crowd) > 0.5).any()
