"""Deformable 3x3 sampling (Dai et al., arXiv 1703.06211) by ``grid_sample``.

torchvision's ``deform_conv2d`` computes the same, but on a CPU one value at a time. ``benchmarks/warp.py`` compares them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mapt_ros.model.constants import constant

TAPS = 9


def deformed_taps(values: Tensor, offsets: Tensor, dilation: int) -> Tensor:
    """What the nine taps of a dilated 3x3 kernel see when each is moved by its own offset.

    Args:
        values: BxCxhxw.
        offsets: Bx18xhxw, (dy, dx) for each tap in row-major order, in cells, as ``deform_conv2d`` takes them.
        dilation: cells between the taps before they are moved.

    Returns:
        BxCx9xhxw, bilinear, zero outside.
    """
    batch, channels, height, width = values.shape
    # Whole coordinates beyond 2048 do not fit half precision.
    moves = offsets.float().view(batch, TAPS, 2, height, width)
    rows, columns = (torch.arange(n, device=values.device, dtype=torch.float32) for n in (height, width))
    taps = constant((-dilation, 0, dilation), torch.float32, values.device)
    y = moves[:, :, 0] + taps.repeat_interleave(3)[:, None, None] + rows[:, None]
    x = moves[:, :, 1] + taps.repeat(3)[:, None, None] + columns
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    seen = F.grid_sample(values.float(), grid.flatten(1, 2), mode="bilinear", padding_mode="zeros", align_corners=False)
    return seen.view(batch, channels, TAPS, height, width).to(values.dtype)


def weighted_taps(values: Tensor, offsets: tuple[Tensor, ...], dilations: tuple[int, ...], weights: Tensor) -> Tensor:
    """The weighted sum over all taps of all dilations of what ``deformed_taps`` sees, with equal weights for all channels.

    Every cell of the outcome is a weighted sum of 4 places a tap, the same places for every channel. So it costs nearly
    the same for a hundred channels as for one; sampling tap by tap costs a hundred times as much.

    Args:
        values: Cxhxw.
        offsets: one 1x18xhxw map a dilation, as ``deformed_taps`` takes them.
        weights: Dx9xhxw.

    Returns:
        Cxhxw.
    """
    return summed(values[None], *tap_places(offsets, dilations, weights[None]))[0]


def tap_places(offsets: tuple[Tensor, ...], dilations: tuple[int, ...], weights: Tensor) -> tuple[Tensor, Tensor]:
    """The places that ``weighted_taps`` reads, and what each of them weighs.

    Args:
        offsets: one Bx18xhxw map a dilation.
        weights: BxDx9xhxw.

    Returns:
        int32 rows of the table that ``summed`` makes, and float32 weights, both (B*h*w)x(4*9*D).
    """
    batch, dilated, _, height, width = weights.shape
    device = weights.device
    moves = torch.stack(offsets, dim=1).float().view(batch, dilated * TAPS, 2, height * width).permute(2, 0, 3, 1)
    steps = constant(tuple((-d, 0, d) for d in dilations), torch.float32, device)
    cells = torch.arange(height * width, device=device)[:, None]
    y = (moves[0] + steps.repeat_interleave(3, dim=1).flatten() + cells // width).clamp_(-1, height)
    x = (moves[1] + steps.repeat(1, 3).flatten() + cells % width).clamp_(-1, width)
    top, left = y.floor(), x.floor()
    y, x = y - top, x - left
    row = width + 3
    images = torch.arange(batch, dtype=torch.int32, device=device)[:, None, None] * ((height + 3) * row)
    corner = ((top + 1) * row + (left + 1)).int() + images
    weight = weights.flatten(3).flatten(1, 2).transpose(1, 2)
    below, right = y * weight, x * weight
    both = below * x
    shares = torch.stack([weight - below - right + both, right - both, below - both, both], dim=-1)
    places = corner[..., None] + constant((0, 1, row, row + 1), torch.int32, device)
    return places.flatten(0, 1).flatten(1), shares.flatten(0, 1).flatten(1)


def summed(values: Tensor, places: Tensor, shares: Tensor) -> Tensor:
    """BxCxhxw values summed as ``tap_places`` says: BxCxhxw."""
    batch, channels, height, width = values.shape
    # A row and a column of zeros before and two behind, so that no place has a neighbour beyond the table.
    table = F.pad(values, (1, 2, 1, 2)).flatten(2).transpose(1, 2).reshape(-1, channels)
    told = F.embedding_bag(places, table, per_sample_weights=shares.to(values.dtype), mode="sum")
    return told.view(batch, height * width, channels).transpose(1, 2).reshape(batch, channels, height, width)
