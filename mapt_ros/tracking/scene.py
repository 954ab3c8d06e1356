"""Panoptic fusion of a batch in tensors of fixed size, for a GPU, where a launch costs more than a detection's work.

The rules and the outcome are those of ``panoptic.fuse``. The pixels of all boxes of all cameras lie in one row of fixed
length, so nothing depends on what was found, nothing waits for the device, and CUDA graphs can repeat it.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mapt_ros.data.labels import LABEL_DIVISOR, UNLABELLED, ClassSet
from mapt_ros.model.constants import constant
from mapt_ros.tracking.panoptic import Region, upsampled

ROOM = 1.5  # pixels of all boxes together, in images; who needs more is drawn one by one
ROUNDS = 3  # of deciding who enters; chains that let each other in and out take two where we looked


@dataclass(frozen=True)
class Canvas:
    """What the semantic logits alone say of every pixel.

    Attributes:
        things: BxTxHxW, logits of the thing classes.
        best: BxHxW, the largest logit of a stuff class.
        winner: BxHxW uint8, that class's position among the stuff classes.
    """

    things: Tensor
    best: Tensor
    winner: Tensor


def canvas(logits: Tensor, classes: ClassSet, size: tuple[int, int], inner: tuple[int, int], stride: int) -> Canvas:
    """BxKxhxw logits at the size of the image; arguments as ``panoptic.upsampled`` takes them."""
    kinds = [tuple(i for i, c in enumerate(classes.classes) if c.is_thing is thing) for thing in (False, True)]
    stuff, things = (
        upsampled(logits.index_select(1, constant(kind, torch.int64, logits.device)).flatten(0, 1), size, inner, stride)
        for kind in kinds
    )
    best, winner = stuff.unflatten(0, (len(logits), -1)).max(dim=1)
    return Canvas(things.unflatten(0, (len(logits), -1)), best, winner.to(torch.uint8))


def owners(
    seen: Canvas, boxes: Tensor, labels: Tensor, mask_logits: Tensor, usable: Tensor, max_taken: Tensor
) -> tuple[Tensor, Tensor]:
    """Which detection owns every pixel, as ``panoptic.fuse`` decides it.

    Args:
        boxes: BxDx4 in pixels of the image, best first.
        labels: BxD int64, 1 + index among the thing classes.
        mask_logits: BxDxMxM.
        usable: BxD bool; the others own nothing.
        max_taken: a number; a detection of which a larger share is taken is skipped.

    Returns:
        BxHxW int32 positions, D where no detection owns the pixel; B bool, whether they are right: there was room, and
        it was settled who enters.
    """
    batch, count = usable.shape
    height, width = seen.best.shape[-2:]
    device, pixels, cells = boxes.device, batch * height * width, mask_logits.shape[-1]
    # In double precision, as the host would do it.
    edges = boxes.flatten(0, 1).double().nan_to_num()
    sides = constant((width, height), torch.float64, device)
    first = torch.minimum(edges[:, :2].floor().clamp(min=0), sides)
    spans = (torch.minimum(edges[:, 2:].ceil().clamp(min=0), sides) - first).clamp(min=0).long()
    areas = spans.prod(dim=1) * usable.flatten()
    fits = areas.sum() <= int(ROOM * pixels)
    areas = areas * fits
    ends = areas.cumsum(0)
    image = torch.arange(batch, device=device).repeat_interleave(count, output_size=batch * count)
    corner = first.long()
    origin = image * (height * width) + corner[:, 1] * width + corner[:, 0]
    plane = (image * (seen.things.shape[1] - 1) + labels.flatten() - 1) * (height * width)  # beside the image's own
    shift = (0.5 - edges[:, :2]).float()
    scale = (cells / (edges[:, 2:] - edges[:, :2]).clamp(min=1e-3)).float()

    entry = torch.arange(int(ROOM * pixels), device=device)
    inside = entry < ends[-1]
    which = torch.searchsorted(ends, entry, right=True).clamp(max=batch * count - 1)
    offset = entry - (ends - areas)[which]
    across = spans[:, 0].clamp(min=1)[which]
    row = torch.div(offset, across, rounding_mode="floor")
    column = offset - row * across
    pixel = torch.where(inside, origin[which] + row * width + column, entry % pixels)

    # The mask's logit at the pixel, bilinear; beyond the outer cells' centres they hold.
    row, column = row + corner[:, 1][which], column + corner[:, 0][which]
    place_x, place_y = (
        ((place + shift[:, axis][which]) * scale[:, axis][which] - 0.5).clamp(0, cells - 1)
        for axis, place in enumerate((column, row))
    )
    low_y, low_x = place_y.floor(), place_x.floor()
    down, right = place_y - low_y, place_x - low_x
    place = (which * cells + low_y.long()) * cells + low_x.long()
    step_y = cells * (low_y < cells - 1)
    step_x = low_x < cells - 1
    flat = mask_logits.float().flatten()
    above = flat[place] * (1 - right) + flat[place + step_x] * right
    below = flat[place + step_y] * (1 - right) + flat[place + step_y + step_x] * right
    mask_logit = above * (1 - down) + below * down

    index = which.int()
    mask = inside & (mask_logit > 0)
    enters, settled = _entering(mask, which, index, pixel, ends - areas, ends, pixels, max_taken)
    class_logit = seen.things.flatten()[plane[which] + pixel]
    fused = (mask_logit.sigmoid() + class_logit.sigmoid()) * (mask_logit + class_logit)
    best = seen.best.flatten()
    competes = inside & enters[which] & (fused > best[pixel])
    top = best.scatter_reduce(0, pixel, fused.masked_fill(~competes, -torch.inf), "amax")
    wins = competes & (fused == top[pixel])
    nobody = torch.full((pixels,), batch * count, dtype=torch.int32, device=device)
    owner = nobody.scatter_reduce(0, pixel, index.masked_fill(~wins, batch * count), "amin").view(batch, height, width)
    begins = torch.arange(batch, dtype=torch.int32, device=device)[:, None, None] * count
    return (owner - begins).clamp(max=count), settled.view(batch, count).all(dim=1) & fits


def _entering(
    mask: Tensor,
    which: Tensor,
    index: Tensor,
    pixel: Tensor,
    starts: Tensor,
    stops: Tensor,
    pixels: int,
    share: Tensor,
) -> tuple[Tensor, Tensor]:
    """Which detections enter, each asked how much of it those before it have taken that enter themselves.

    What is taken of a detection depends on those it shares pixels with. Assuming all for entering and asking again, one
    more link of every chain is right each time; when nothing changes any more, all are.

    Returns:
        N bool each: which enter, and which of these answers have not changed in the last round.
    """

    def counted(chosen: Tensor) -> Tensor:
        sums = F.pad(chosen.cumsum(0, dtype=torch.int32), (1, 0))
        return sums[stops] - sums[starts]

    held = counted(mask)
    most = share * held
    enters = before = held > 0
    nobody = torch.full((pixels,), len(starts), dtype=torch.int32, device=mask.device)
    for _ in range(ROUNDS):
        before = enters
        first = nobody.scatter_reduce(0, pixel, index.masked_fill(~(mask & enters[which]), len(starts)), "amin")
        enters = (held > 0) & (counted(mask & (first[pixel] < index)) <= most)
    return enters, enters == before


def measured(owner: Tensor, count: int) -> Tensor:
    """How large each instance is and where: pixels, x0, y0, x1, y1 (far edges exclusive), sums of x and of y.

    Args:
        owner: BxHxW, ``count`` where there is nobody.

    Returns:
        BxDx7 int64, D = ``count``.
    """
    batch, height, width = owner.shape
    places = [torch.arange(length, device=owner.device) for length in (height, width)]
    begins = torch.arange(batch, device=owner.device)[:, None, None] * (count + 1)
    who = owner + begins
    rows, columns = (
        _tally(who * length + place, batch * (count + 1) * length).view(batch, count + 1, length)[:, :count]
        for length, place in ((height, places[0][:, None]), (width, places[1]))
    )
    (y0, y1, down), (x0, x1, across) = (
        (
            place.masked_fill(tally == 0, len(place)).amin(dim=2),
            (place + 1).masked_fill(tally == 0, 0).amax(dim=2),
            (tally * place).sum(dim=2),
        )
        for tally, place in ((rows, places[0]), (columns, places[1]))
    )
    return torch.stack([rows.sum(dim=2), x0, y0, x1, y1, across, down], dim=2)


def regions(measures: np.ndarray) -> list[Region]:
    """As ``panoptic.regions``, from Nx7 of ``measured``; every instance has a pixel."""
    return [
        Region((x0, y0, x1, y1), area, across / area + 0.5, down / area + 0.5)
        for area, x0, y0, x1, y1, across, down in measures.tolist()
    ]


def cell_shares(owner: Tensor, count: int, size: tuple[int, int], cells: tuple[int, int], stride: int) -> Tensor:
    """M_t, as ``tracker.owner_masks``: the share of every cell that each instance fills, BxDxhxw in [0, 1].

    Args:
        owner: BxHxW, ``count`` where there is nobody.
        size: height and width of the image inside the network's input.
        cells: h and w.
        stride: input pixels a cell.
    """
    batch = len(owner)
    if owner.shape[1:] != size:
        owner = F.interpolate(owner[:, None].float(), size=size, mode="nearest")[:, 0].int()
    rows, columns = cells
    down, across = (torch.arange(n, device=owner.device) // stride for n in size)
    begins = torch.arange(batch, device=owner.device)[:, None, None] * (count + 1)
    index = (owner + begins) * (rows * columns) + (down * columns)[:, None] + across
    tally = _tally(index, batch * (count + 1) * rows * columns).view(batch, count + 1, rows, columns)
    return tally[:, :count].float() / stride**2


def _tally(index: Tensor, length: int) -> Tensor:
    """How often each number below ``length`` occurs. ``bincount`` asks the device for the largest."""
    one = torch.ones(1, dtype=torch.int32, device=index.device).expand(index.numel())
    return torch.zeros(length, dtype=torch.int32, device=index.device).scatter_add_(0, index.flatten(), one)


def label_maps(owner: Tensor, winner: Tensor, labels: Tensor, classes: ClassSet, min_stuff_area: Tensor) -> Tensor:
    """The BxHxW int32 label maps, as ``panoptic.fuse`` and ``paint`` make them.

    Args:
        owner: BxHxW, positions in ``labels``, D for nobody.
        winner: of the canvas.
        labels: BxD int32, one an instance.
        min_stuff_area: a number; stuff classes with fewer pixels become unlabelled.
    """
    batch, count = labels.shape
    stuff = tuple(c.id * LABEL_DIVISOR for c in classes.classes if not c.is_thing)
    free = winner.masked_fill(owner < count, len(stuff))
    kinds = torch.arange(len(stuff), dtype=free.dtype, device=owner.device)
    areas = (free.flatten(1)[:, None] == kinds[:, None]).sum(dim=2)
    of_stuff = constant(stuff, torch.int32, owner.device).masked_fill(areas < min_stuff_area, UNLABELLED)
    table = torch.cat([labels, of_stuff], dim=1)
    begins = torch.arange(batch, dtype=torch.int32, device=owner.device)[:, None, None] * table.shape[1]
    code = torch.where(owner < count, owner, winner.int() + count) + begins
    return table.flatten().index_select(0, code.flatten()).view(owner.shape)
