"""The motion head moves masks where its offsets say and nowhere else."""

import pytest
import torch

from mapt_ros.model.config import MotionConfig
from mapt_ros.model.motion import MotionField, MotionHead, correlation

CHANNELS = 8


@pytest.fixture
def head() -> MotionHead:
    torch.manual_seed(0)
    return MotionHead(CHANNELS, MotionConfig(stride=4, channels=8, feature_channels=4)).eval()


def constant_field(head: MotionHead, dy: float, dx: float, height: int, width: int) -> MotionField:
    offsets = torch.tensor([float(dy), float(dx)] * 9)[None, :, None, None].expand(1, 18, height, width).contiguous()
    scales = len(head.dilations)
    return MotionField((offsets,) * scales, torch.full((1, scales, height, width), 1 / scales))


@torch.inference_mode()
def test_a_fresh_head_leaves_masks_where_they_are(head):
    previous, current = torch.randn(2, 1, CHANNELS, 12, 20).unbind()
    masks = torch.rand(5, 12, 20)
    moved = head.propagate_masks(head.field(previous, current), masks)
    torch.testing.assert_close(moved, masks, atol=1e-6, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize(("dy", "dx"), [(0, 3), (2, 0), (-1, -4)])
def test_a_constant_offset_shifts_masks_by_exactly_that(head, dy, dx):
    masks = torch.zeros(2, 16, 24)
    masks[0, 6:10, 8:14] = 1
    masks[1, 5:7, 10:12] = 0.5
    moved = head.propagate_masks(constant_field(head, dy, dx, 16, 24), masks)
    # The offset says where a cell looks in the previous frame, so what was at p + offset appears at p.
    torch.testing.assert_close(moved, torch.roll(masks, (-dy, -dx), dims=(1, 2)), atol=1e-6, rtol=0)


@torch.inference_mode()
def test_half_a_cell_is_half_of_each_neighbour(head):
    masks = torch.zeros(1, 8, 8)
    masks[0, 4, 4] = 1
    moved = head.propagate_masks(constant_field(head, 0, 0.5, 8, 8), masks)
    assert moved[0, 4, 3].item() == pytest.approx(0.5) and moved[0, 4, 4].item() == pytest.approx(0.5)


def test_propagated_masks_stay_between_zero_and_one_whatever_the_weights(head):
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=2.0)
        previous, current = torch.randn(2, 1, CHANNELS, 12, 20).unbind()
        moved = head.propagate_masks(head.field(previous, current), torch.rand(4, 12, 20))
    assert moved.min() >= 0 and moved.max() <= 1 + 1e-5


def test_masks_are_propagated_alike_with_and_without_gradients(head):
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=0.5)
    previous, current = torch.randn(2, 1, CHANNELS, 12, 20).unbind()
    masks = torch.rand(6, 12, 20)
    taught = head.propagate_masks(head.field(previous, current), masks).detach()
    with torch.inference_mode():
        torch.testing.assert_close(head.propagate_masks(head.field(previous, current), masks), taught)


@torch.inference_mode()
def test_no_mask_is_no_call(head):
    field = constant_field(head, 0, 0, 8, 8)
    assert head.propagate_masks(field, torch.zeros(0, 8, 8)).shape == (0, 8, 8)


@torch.inference_mode()
def test_offsets_that_are_not_numbers_do_not_end_the_process(head):
    head.reduce_difference[0].weight.fill_(float("nan"))
    field = head.field(*torch.randn(2, 1, CHANNELS, 12, 20))
    assert all(offsets.isfinite().all() for offsets in field.offsets)
    head.propagate_features(field, torch.randn(1, CHANNELS, 12, 20))


def test_a_tap_below_zero_counts_as_zero_and_can_come_back(head):
    with torch.no_grad():
        head.mask_kernels[:, 0, 0] = -0.1
    masks = torch.rand(1, 8, 8)
    moved = head.propagate_masks(constant_field(head, 0, 0, 8, 8), masks)
    torch.testing.assert_close(moved, masks, atol=1e-6, rtol=0)
    moved[0, 3, 3].backward()
    assert (head.mask_kernels.grad[:, 0, 0] != 0).any()


def test_the_head_learns_a_shift(head):
    """Nine cells to the right: within reach of the dilated convolutions, far beyond that of a single tap."""
    torch.manual_seed(1)
    head.train()
    previous = torch.randn(1, CHANNELS, 16, 32)
    current = torch.roll(previous, 9, dims=3)
    masks = torch.zeros(1, 16, 32)
    masks[0, 4:12, 6:16] = 1
    target = torch.roll(masks, 9, dims=2)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(120):
        loss = (head.propagate_masks(head.field(previous, current), masks) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unmoved = (masks - target).abs().mean()
    assert loss < 0.3 * unmoved


def test_correlation_finds_a_cell_at_the_tap_that_it_came_from():
    torch.manual_seed(0)
    previous = torch.randn(1, 16, 14, 18)
    current = torch.roll(previous, (3, -3), dims=(2, 3))  # what is at (y, x) was at (y - 3, x + 3)
    alike = correlation(previous, 7 * current, (1, 3))
    assert alike.shape == (1, 17, 14, 18)
    inside = alike[0, :, 4:-4, 4:-4]
    top_right_of_the_second = 1 + 8 + 2
    assert (inside.argmax(dim=0) == top_right_of_the_second).all()
    torch.testing.assert_close(inside[top_right_of_the_second], torch.ones(6, 10))
    assert (correlation(previous, current, (1,))[0, 1, 0] == 0).all()  # nothing lies above the first row


def test_correlation_is_the_same_with_and_without_gradients():
    torch.manual_seed(0)
    previous, current = torch.randn(2, 2, 5, 9, 12)
    wanted = correlation(previous, current, (1, 3, 6))
    with torch.no_grad():
        torch.testing.assert_close(correlation(previous, current, (1, 3, 6)), wanted, atol=1e-6, rtol=0)


def test_masks_of_several_images_are_carried_as_each_by_itself():
    torch.manual_seed(0)
    head = MotionHead(4, MotionConfig(dilations=(1, 3))).eval()
    field = MotionField(tuple(torch.randn(2, 18, 6, 8) * 3 for _ in range(2)), torch.rand(2, 2, 6, 8).softmax(dim=1))
    masks = torch.rand(2, 3, 6, 8)
    with torch.no_grad():
        together = head.carried(head.mask_taps(field), masks)
        for i in range(2):
            torch.testing.assert_close(together[i], head.propagate_masks(field.of(i), masks[i]), atol=1e-6, rtol=0)
