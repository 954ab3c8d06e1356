"""The region proposal network: its anchors, which of them stand for things, and its way to proposals."""

import pytest
import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from mapt_ros.model.config import InstanceConfig
from mapt_ros.model.instance import InstanceHead


@torch.inference_mode()
@pytest.mark.parametrize("size", [(96, 160), (32, 64)])  # the smaller has levels with fewer anchors than proposals
@pytest.mark.parametrize("least", [0.0, 0.5])
def test_decoding_only_the_best_boxes_changes_no_proposal(tiny_network, size, least):
    torch.manual_seed(1)
    batch = tiny_network.prepare([torch.randint(0, 256, (*size, 3), dtype=torch.uint8) for _ in range(2)])
    pyramid, rpn = tiny_network.encode(batch.images), tiny_network.instance.rpn
    rpn.score_thresh = least
    images = ImageList(batch.images, batch.sizes)
    found, losses = rpn(images, pyramid)
    wanted, _ = RegionProposalNetwork.forward(rpn, images, pyramid)
    assert losses == {}
    for ours, theirs in zip(found, wanted, strict=True):
        assert len(ours) > 0
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_anchors_have_every_shape_at_every_size():
    config = InstanceConfig(anchor_sizes=(100, 200, 400, 800), anchor_scales=(1, 1.5), anchor_ratios=(0.5, 1, 2.5))
    rpn = InstanceHead(8, 2, config).rpn
    assert rpn.head.cls_logits.out_channels == 6
    for size, anchors in zip(config.anchor_sizes, rpn.anchor_generator.cell_anchors, strict=True):
        width, height = (anchors[:, 2:] - anchors[:, :2]).unbind(dim=1)
        sides, ratios = (width * height).sqrt(), height / width
        wanted = [(ratio, size * scale) for ratio in config.anchor_ratios for scale in config.anchor_scales]
        for side, ratio, (wanted_ratio, wanted_side) in zip(sides, ratios, wanted, strict=True):
            assert side == pytest.approx(wanted_side, rel=0.02)  # anchors have whole corners
            assert ratio == pytest.approx(wanted_ratio, rel=0.03)


@pytest.mark.parametrize("iou, kinds", [(0.7, [1, -1, 0]), (0.5, [1, 1, 0])])
def test_from_which_overlap_an_anchor_stands_for_a_thing(iou, kinds):
    rpn = InstanceHead(8, 2, InstanceConfig(anchor_iou=iou)).rpn
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6], [40, 40, 50, 50]])  # overlaps of 1, 0.6 and 0
    thing = {"boxes": torch.tensor([[0.0, 0, 10, 10]])}
    assert rpn.assign_targets_to_anchors([anchors], [thing])[0][0].tolist() == kinds
