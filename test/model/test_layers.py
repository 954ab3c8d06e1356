"""Group norm in half precision beside the single one, in the layout that training uses; residual blocks."""

import pytest
import torch
from torch import Tensor

from mapt_ros.model.layers import group_norm, residual_blocks


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_group_norm_keeps_type_and_layout_and_agrees_with_single_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = (5 + 3 * torch.randn(6, 24, 7, 7)).to(dtype).to(memory_format=torch.channels_last)
    upstream = torch.randn_like(values)
    norm = group_norm(24).to(torch.float64 if dtype is torch.float64 else torch.float32)
    torch.nn.init.normal_(norm.weight)

    def with_gradients(x: Tensor, layer: torch.nn.GroupNorm) -> tuple[Tensor, ...]:
        x = x.detach().requires_grad_()
        y = layer(x)
        y.backward(upstream.to(y.dtype))
        gradients = x.grad, layer.weight.grad.clone()
        layer.zero_grad()
        return y, *gradients

    plain = torch.nn.GroupNorm(norm.num_groups, 24).double()
    plain.load_state_dict(norm.state_dict())
    y, of_values, of_weights = with_gradients(values, norm)
    right = with_gradients(values.double(), plain)

    assert y.dtype == of_values.dtype == dtype and of_weights.dtype == norm.weight.dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2**-7}[dtype]  # bfloat16 keeps 8 bits
    for ours, theirs in zip((y, of_values, of_weights), right):
        torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=tolerance)


def test_group_norm_of_no_rois_is_empty() -> None:
    assert group_norm(24)(torch.empty(0, 24, 7, 7, dtype=torch.bfloat16)).shape == (0, 24, 7, 7)


@torch.inference_mode()
def test_residual_blocks_begin_as_nothing_and_then_see_three_cells_around_each() -> None:
    torch.manual_seed(0)
    blocks, x = residual_blocks(8, 2).eval(), torch.randn(1, 8, 17, 19)
    assert torch.equal(blocks(x), x)
    for block in blocks:
        torch.nn.init.normal_(block.narrow.weight)
    other = x.clone()
    other[0, :, 8, 9] += 1
    assert blocks(x).shape == x.shape
    rows, columns = (blocks(other) - blocks(x)).abs().amax(dim=1)[0].nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 14, 3, 15)  # two blocks of 7x7


def test_residual_blocks_learn_from_the_first_step_on() -> None:
    torch.manual_seed(0)
    blocks = residual_blocks(8, 1)
    blocks(torch.randn(2, 8, 8, 8)).square().sum().backward()
    assert blocks[0].narrow.weight.grad.abs().max() > 0
