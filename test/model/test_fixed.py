"""In tensors of fixed size the instance head finds what torchvision's steps find one by one."""

import pytest
import torch
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import batched_nms

from mapt_ros.model.fixed import find, suppressed
from mapt_ros.model.rpn import CrowdAwareRPN


def crowd(images: int, count: int) -> tuple[torch.Tensor, ...]:
    """Boxes of which many overlap, scores, two groups, and which count."""
    corners = torch.rand(images, count, 2) * 40
    boxes = torch.cat([corners, corners + 5 + torch.rand(images, count, 2) * 30], dim=-1)
    return boxes, torch.rand(images, count), torch.randint(1, 3, (images, count)), torch.rand(images, count) > 0.2


@pytest.mark.parametrize("threshold", [0.1, 0.5, 1.0])
def test_suppression_of_all_boxes_at_once_is_the_greedy_one(threshold):
    torch.manual_seed(0)
    boxes, scores, groups, usable = crowd(3, 120)
    index, kept, settled = suppressed(boxes, scores, groups, usable, threshold, 50, rounds=40)
    assert settled.all() and index.shape == kept.shape == (3, 50)
    for i in range(3):
        candidates = usable[i].nonzero()[:, 0]
        wanted = candidates[batched_nms(boxes[i][usable[i]], scores[i][usable[i]], groups[i][usable[i]], threshold)]
        assert index[i][kept[i]].tolist() == wanted[:50].tolist()
        assert not kept[i][int(kept[i].sum()) :].any()  # what is left over comes last


def test_a_chain_longer_than_the_rounds_is_said_not_to_be_settled():
    left = torch.arange(12.0)
    boxes = torch.stack([left, 0 * left, left + 3, 0 * left + 1], dim=1)[None]  # each in reach of its neighbours
    scores, groups = torch.linspace(1, 0.1, 12)[None], torch.zeros(1, 12, dtype=torch.int64)
    usable = torch.ones(1, 12, dtype=torch.bool)
    assert not suppressed(boxes, scores, groups, usable, 0.4, 12, rounds=5)[2]
    index, kept, settled = suppressed(boxes, scores, groups, usable, 0.4, 12, rounds=11)
    assert settled and index[kept].tolist() == [0, 2, 4, 6, 8, 10]


@torch.inference_mode()
@pytest.mark.parametrize("size", [(96, 160), (32, 64)])  # the smaller has levels with fewer anchors than proposals
@pytest.mark.parametrize(("floor", "margin"), [(0.0, 0.0), (0.0, 0.3), (0.34, 0.0), (1.0, 0.3)])
def test_the_head_finds_what_torchvisions_parts_find(tiny_network, size, floor, margin, monkeypatch):
    tiny_network.instance.roi_heads.score_thresh = floor
    tiny_network.instance.box_margin = margin
    torch.manual_seed(1)
    batch = tiny_network.prepare([torch.randint(0, 256, (*size, 3), dtype=torch.uint8) for _ in range(2)])
    pyramid = tiny_network.encode(batch.images)
    with monkeypatch.context() as patched:  # ours decodes fewer boxes, in the function that is tried here
        patched.setattr(CrowdAwareRPN, "forward", RegionProposalNetwork.forward)
        wanted = tiny_network.instance(pyramid, batch.sizes, batch.images)
    found = find(tiny_network.instance, pyramid, batch.sizes, batch.images)
    assert found.settled.all()
    for i, one in enumerate(wanted):
        count = len(one)
        assert (found.scores[i] >= 0).tolist() == [True] * count + [False] * (found.scores.shape[1] - count)
        for name in ("boxes", "scores", "labels", "mask_logits"):
            torch.testing.assert_close(getattr(found, name)[i, :count], getattr(one, name), atol=1e-4, rtol=0)
