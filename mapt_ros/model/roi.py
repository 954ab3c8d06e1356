"""RoIAlign over the feature pyramid as a sum of table rows; with gradients on a GPU torchvision's."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign

from mapt_ros.model.backbone import LEVELS, STRIDES
from mapt_ros.model.constants import constant

_SAMPLES = 2  # a side of each output cell
_CANONICAL_LEVEL = 4  # P16, as a power of two


class PyramidRoIAlign(MultiScaleRoIAlign):
    """RoIAlign over P4 to P32.

    Args:
        size: cells a side of the output.
        canonical_box: a box of that many pixels a side comes from P16, smaller ones from finer levels.
    """

    def __init__(self, size: int, canonical_box: int):
        super().__init__(
            list(LEVELS),
            size,
            sampling_ratio=_SAMPLES,
            canonical_scale=canonical_box,
            canonical_level=_CANONICAL_LEVEL,
        )

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """{"P4" ... "P32"} of BxCxh'xw', Nx4 boxes an image in pixels -> (N1 + N2 + ...)xCxSxS."""
        maps = list(x.values())
        if (torch.is_grad_enabled() and maps[0].is_cuda) or sum(len(b) for b in boxes) == 0:
            return super().forward(x, boxes, image_shapes)
        return _as_rows(maps, boxes, self.output_size[0], self.canonical_scale)


def _as_rows(maps: list[Tensor], boxes: list[Tensor], size: int, canonical_box: float) -> Tensor:
    """RoIAlign as ``embedding_bag``: every output cell is a weighted sum of 16 places, each C numbers in a row.

    torchvision's kernel walks channel by channel on a CPU; rows of all channels take a tenth of its time, and their
    gradients a fifth. On a GPU it asks the device, level by level, which boxes lie there.
    """
    batch, channels = maps[0].shape[:2]
    table = torch.cat([m.permute(0, 2, 3, 1).reshape(-1, channels) for m in maps])
    if table.requires_grad:
        table = table.float()  # hundreds of RoIs add to one row's gradient, too many for half precision
    corners = torch.cat(boxes).float()
    device = corners.device
    image = torch.cat([torch.full((len(b),), i, device=device) for i, b in enumerate(boxes)])
    sides = (corners[:, 2:] - corners[:, :2]).prod(dim=1).sqrt()
    # torchvision's rule and its epsilon, which decides at the borders between two levels.
    level = (_CANONICAL_LEVEL + torch.log2(sides / canonical_box) + 1e-6).floor().clamp(2, 5).long() - 2

    heights, widths = (constant(tuple(m.shape[dim] for m in maps), torch.int64, device) for dim in (2, 3))
    areas = heights * widths
    first = (batch * areas).cumsum(0) - batch * areas  # row of the table where each level begins
    height, width = heights[level], widths[level]
    origin = (first[level] + image * areas[level])[:, None, None, None, None]
    scale = 1 / constant(STRIDES, torch.float32, device)[level][:, None]
    start = corners[:, :2] * scale
    extent = (corners[:, 2:] * scale - start).clamp(min=1)
    steps = (torch.arange(_SAMPLES * size, device=device) + 0.5) / (_SAMPLES * size)
    (columns, across), (rows, down) = (
        _neighbours(start[:, i : i + 1] + extent[:, i : i + 1] * steps, length[:, None], size)
        for i, length in enumerate((width, height))
    )
    places = origin + (rows * width[:, None, None])[:, :, None, :, None] + columns[:, None, :, None, :]
    weights = down[:, :, None, :, None] * across[:, None, :, None, :]
    pooled = F.embedding_bag(
        places.int().flatten(0, 2).flatten(1),
        table,
        per_sample_weights=weights.flatten(0, 2).flatten(1).to(table.dtype),
        mode="sum",
    )
    pooled = pooled.to(maps[0].dtype).view(-1, size, size, channels).permute(0, 3, 1, 2)
    return pooled.contiguous() if pooled.requires_grad else pooled  # group norm's gradients are slow in rows


def _neighbours(places: Tensor, length: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The two cells on either side of each place along one axis, and what each contributes to its output cell.

    Args:
        places: Nx(samples of all output cells), in cells; beyond one cell outside the map they count as zero.
        length: Nx1 cells of the map along this axis.

    Returns:
        Both Nx(size)x(2 * samples).
    """
    inside = (places >= -1) & (places <= length)
    last = length - 1
    places = places.clamp(min=0)
    low = torch.minimum(places.floor().long(), last)
    high = torch.minimum(low + 1, last)
    share = torch.where(low < last, places - low, 0.0)
    weights = torch.stack([1 - share, share], dim=-1) * inside[..., None] / _SAMPLES
    return torch.stack([low, high], dim=-1).view(len(low), size, -1), weights.view(len(low), size, -1)
