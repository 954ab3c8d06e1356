"""Deformable 3x3 sampling (Dai et al., arXiv 1703.06211) by ``grid_sample``.

torchvision's ``deform_conv2d`` computes the same, but on a CPU one value at a time. ``benchmarks/warp.py`` compares them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

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
    taps = torch.tensor([-dilation, 0, dilation], device=values.device, dtype=torch.float32)
    y = moves[:, :, 0] + taps.repeat_interleave(3)[:, None, None] + rows[:, None]
    x = moves[:, :, 1] + taps.repeat(3)[:, None, None] + columns
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    seen = F.grid_sample(values.float(), grid.flatten(1, 2), mode="bilinear", padding_mode="zeros", align_corners=False)
    return seen.view(batch, channels, TAPS, height, width).to(values.dtype)
