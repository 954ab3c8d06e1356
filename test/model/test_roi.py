"""RoIAlign by table rows is torchvision's."""

import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign

from mapt_ros.model.backbone import LEVELS, STRIDES
from mapt_ros.model.roi import PyramidRoIAlign

SIZE = (64, 96)


def pyramid(batch: int) -> dict[str, torch.Tensor]:
    return {level: torch.randn(batch, 5, SIZE[0] // s, SIZE[1] // s) for level, s in zip(LEVELS, STRIDES)}


@pytest.mark.parametrize("size", [3, 14])
def test_it_is_torchvisions_at_every_level_across_borders_and_in_every_image(size):
    torch.manual_seed(0)
    corners = torch.tensor([[0, 0], [90, 60], [30, 20], [95.5, 63.5], [12, 40]]).repeat(6, 1)
    sides = torch.tensor([0.3, 3, 9, 20, 45, 120]).repeat_interleave(5)[:, None]
    inside = torch.cat([corners, torch.minimum(corners + sides, torch.tensor([96.0, 64.0]))], dim=1)
    beyond = torch.cat([corners - 40, corners + 40], dim=1)
    boxes = [inside, torch.zeros(0, 4), beyond]
    maps = pyramid(3)
    theirs = MultiScaleRoIAlign(list(LEVELS), size, 2, canonical_scale=28, canonical_level=4)
    wanted = theirs(maps, boxes, [SIZE] * 3)
    ours = PyramidRoIAlign(size, 28)
    torch.testing.assert_close(ours(maps, boxes, [SIZE] * 3), wanted, atol=1e-5, rtol=0)
    with torch.inference_mode():
        torch.testing.assert_close(ours(maps, boxes, [SIZE] * 3), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_its_gradients_are_torchvisions(dtype):
    torch.manual_seed(0)
    maps = {name: level.to(dtype).requires_grad_() for name, level in pyramid(2).items()}
    corners = torch.rand(200, 2) * 40
    boxes = [torch.cat([corners, corners + torch.rand(200, 2) * 50], dim=1)] * 2
    theirs = MultiScaleRoIAlign(list(LEVELS), 7, 2, canonical_scale=28, canonical_level=4)
    slopes = torch.randn(400, 5, 7, 7)
    single = {name: level.float() for name, level in maps.items()}
    wanted = torch.autograd.grad(theirs(single, boxes, [SIZE] * 2), list(maps.values()), slopes)
    ours = PyramidRoIAlign(7, 28)(maps, boxes, [SIZE] * 2)
    assert ours.dtype == dtype
    got = torch.autograd.grad(ours, list(maps.values()), slopes.to(dtype))
    tolerance = {torch.float32: 1e-4, torch.bfloat16: 0.1}[dtype]
    for mine, torchvisions in zip(got, wanted):
        torch.testing.assert_close(mine.float(), torchvisions.float(), atol=tolerance, rtol=tolerance)


@torch.inference_mode()
def test_no_box_at_all_is_no_fault():
    assert PyramidRoIAlign(7, 28)(pyramid(1), [torch.zeros(0, 4)], [SIZE]).shape == (0, 5, 7, 7)
