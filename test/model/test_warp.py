"""Deformable sampling is torchvision's, and bears what torchvision's does not."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import deform_conv2d

from mapt_ros.model.warp import deformed_taps, weighted_taps


@pytest.mark.parametrize("dilation", [1, 3, 12])
def test_equals_torchvisions_deformable_convolution_and_its_gradient(dilation):
    torch.manual_seed(0)
    values = torch.rand(2, 5, 13, 17, dtype=torch.float32, requires_grad=True)
    offsets = (torch.randn(2, 18, 13, 17) * 4).requires_grad_()
    kernel = torch.randn(6, 5, 3, 3)
    theirs = deform_conv2d(values, offsets, kernel, padding=dilation, dilation=dilation)
    ours = F.conv2d(deformed_taps(values, offsets, dilation).flatten(1, 2), kernel.flatten(1)[:, :, None, None])
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    weights = torch.randn_like(theirs)
    for got, wanted in zip(*(torch.autograd.grad((out * weights).sum(), (values, offsets)) for out in (ours, theirs))):
        torch.testing.assert_close(got, wanted, atol=1e-3, rtol=1e-3)


def test_no_channel_is_no_fault():
    assert deformed_taps(torch.rand(1, 0, 4, 5), torch.zeros(1, 18, 4, 5), 1).shape == (1, 0, 9, 4, 5)


def test_half_precision_keeps_whole_coordinates():
    """At a width of 300 cells, half precision would round places to a quarter of a cell."""
    values = torch.rand(1, 1, 4, 300).half()
    centre = deformed_taps(values, torch.zeros(1, 18, 4, 300).half(), 1)[:, :, 4]
    torch.testing.assert_close(centre.float(), values.float(), atol=1e-3, rtol=0)


def test_weighted_taps_are_the_weighted_sum_of_all_taps_beyond_the_borders_too():
    torch.manual_seed(0)
    values, weights = torch.rand(3, 11, 14), torch.rand(2, 9, 11, 14)
    offsets = tuple(torch.randn(1, 18, 11, 14) * 6 for _ in range(2))
    offsets[0][..., 0] = torch.randint(-20, 20, (18, 11)).float()  # whole cells, far outside as well
    expected = sum(
        (deformed_taps(values[None], o, dilation)[0] * w).sum(dim=1) for o, dilation, w in zip(offsets, (1, 6), weights)
    )
    torch.testing.assert_close(weighted_taps(values, offsets, (1, 6), weights), expected, atol=1e-4, rtol=0)
