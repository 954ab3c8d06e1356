"""Panoptic fusion of all detections at once, for a GPU, where a launch costs more than the work of a whole detection.

The rules and the outcome are those of ``panoptic.fuse``. All pixels of all boxes lie in one row, so the number of
operations depends on how deep boxes lie on each other, not on how many there are, and nothing waits for the device.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mapt_ros.data.labels import LABEL_DIVISOR, UNLABELLED, ClassSet
from mapt_ros.model.constants import constant
from mapt_ros.tracking.panoptic import Region

MOST_PIXELS = 1 << 24  # of all boxes together; beyond, memory is dearer than launches


@dataclass(frozen=True)
class Canvas:
    """What the semantic logits alone say of every pixel.

    Attributes:
        logits: KxHxW at the size of the image.
        best: HxW, the largest logit of a stuff class.
        winner: HxW uint8, that class's position among the stuff classes.
    """

    logits: Tensor
    best: Tensor
    winner: Tensor


@dataclass(frozen=True)
class Boxes:
    """Where N detections lie in an HxW image, on the host: first and last pixels, and how masks are stretched there.

    Attributes:
        rows, columns: Nx2 int64, from and to; equal where a box touches no pixel.
        edges: Nx4 float64, x0 y0 x1 y1.
    """

    rows: np.ndarray
    columns: np.ndarray
    edges: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """N int64 pixels."""
        return (self.rows[:, 1] - self.rows[:, 0]) * (self.columns[:, 1] - self.columns[:, 0])


def canvas(logits: Tensor, classes: ClassSet) -> Canvas:
    """The stuff of KxHxW logits."""
    stuff = constant(tuple(i for i, c in enumerate(classes.classes) if not c.is_thing), torch.int64, logits.device)
    best, winner = logits.index_select(0, stuff).max(dim=0)
    return Canvas(logits, best, winner.to(torch.uint8))


def place(boxes: np.ndarray, height: int, width: int) -> Boxes:
    """The pixels that Nx4 boxes touch."""
    edges = boxes.astype(np.float64)
    first, last = np.floor(edges[:, :2]), np.ceil(edges[:, 2:])
    spans = []
    for axis, length in ((1, height), (0, width)):
        start = first[:, axis].clip(0, length).astype(np.int64)
        spans.append(np.stack([start, np.maximum(last[:, axis].clip(0, length).astype(np.int64), start)], axis=1))
    empty = (spans[0][:, 0] == spans[0][:, 1]) | (spans[1][:, 0] == spans[1][:, 1])
    for span in spans:
        span[empty] = 0
    return Boxes(*spans, edges)


def depth(boxes: Boxes) -> int:
    """How many boxes lie on each other in a row: the longest chain in which each shares pixels with one before it."""
    count = len(boxes.edges)
    levels = np.zeros(count, dtype=np.int64)
    (top, bottom), (left, right) = boxes.rows.T, boxes.columns.T
    meets = (np.minimum(bottom[:, None], bottom) > np.maximum(top[:, None], top)) & (
        np.minimum(right[:, None], right) > np.maximum(left[:, None], left)
    )
    for i in range(count):
        levels[i] = 1 + max(levels[:i][meets[i, :i]], default=0)
    return int(levels.max(initial=0))


def owners(
    seen: Canvas,
    boxes: Boxes,
    channels: np.ndarray,
    mask_logits: Tensor,
    max_taken: float,
) -> Tensor:
    """Which detection owns every pixel, as ``panoptic.fuse`` decides it.

    Args:
        seen: of the image.
        boxes: of N detections, best first, at most ``MOST_PIXELS`` large altogether.
        channels: N, each one's class as a channel of the logits.
        mask_logits: NxMxM (or more than N).
        max_taken: a detection of which a larger share is taken is skipped.

    Returns:
        HxW int32 positions, N where no detection owns the pixel.
    """
    height, width = seen.best.shape
    device = seen.best.device
    areas = boxes.areas
    count, total = len(areas), int(areas.sum())
    nobody = torch.full((height * width,), count, dtype=torch.int32, device=device)
    if total == 0:
        return nobody.view(height, width)
    ends = np.cumsum(areas)
    cells = mask_logits.shape[-1]
    x0, y0, x1, y1 = boxes.edges.T
    numbers = [ends - areas, boxes.rows[:, 0], boxes.columns[:, 0], boxes.columns[:, 1] - boxes.columns[:, 0], channels]
    fractions = [0.5 - y0, cells / np.maximum(y1 - y0, 1e-3), 0.5 - x0, cells / np.maximum(x1 - x0, 1e-3)]
    packed = np.stack(
        [np.asarray(n, dtype=np.int32) for n in numbers] + [f.astype(np.float32).view(np.int32) for f in fractions],
        axis=1,
    )
    table = upload(np.concatenate([packed, ends.astype(np.int32)[:, None]], axis=1), device)
    starts, stops = table[:, 0], table[:, -1]
    which = torch.repeat_interleave((stops - starts).long(), output_size=total)
    here = table.index_select(0, which)
    start, top, left, across, channel = here[:, :5].unbind(dim=1)
    shift_y, scale_y, shift_x, scale_x = here[:, 5:9].contiguous().view(torch.float32).unbind(dim=1)
    offset = torch.arange(total, dtype=torch.int32, device=device) - start
    row = torch.div(offset, across, rounding_mode="floor")
    y, x = top + row, left + offset - row * across
    pixel = y.long() * width + x

    # The mask's logit at the pixel, bilinear; beyond the outer cells' centres they hold.
    place_y = ((y + shift_y) * scale_y - 0.5).clamp(0, cells - 1)
    place_x = ((x + shift_x) * scale_x - 0.5).clamp(0, cells - 1)
    low_y, low_x = place_y.floor(), place_x.floor()
    down, right = place_y - low_y, place_x - low_x
    corner = (which * cells + low_y.long()) * cells + low_x.long()
    step_y = cells * (low_y < cells - 1)
    step_x = low_x < cells - 1
    flat = mask_logits.float().flatten()
    above = flat[corner] * (1 - right) + flat[corner + step_x] * right
    below = flat[corner + step_y] * (1 - right) + flat[corner + step_y + step_x] * right
    mask_logit = above * (1 - down) + below * down

    best = seen.best.flatten()
    class_logit = seen.logits.flatten()[channel.long() * (height * width) + pixel]
    fused = (mask_logit.sigmoid() + class_logit.sigmoid()) * (mask_logit + class_logit)
    index = which.int()
    enters = _entering(mask_logit > 0, which, pixel, starts, stops, nobody, depth(boxes), max_taken)
    competes = enters[which] & (fused > best[pixel])
    top_value = best.scatter_reduce(0, pixel, fused.masked_fill(~competes, -torch.inf), "amax")
    wins = competes & (fused == top_value[pixel])
    return nobody.scatter_reduce(0, pixel, index.masked_fill(~wins, count), "amin").view(height, width)


def _entering(
    mask: Tensor, which: Tensor, pixel: Tensor, starts: Tensor, stops: Tensor, nobody: Tensor, depth: int, share: float
) -> Tensor:
    """N bool: which detections enter, each asked how much of it those before it have taken that enter themselves.

    What is taken of a detection depends on those it shares pixels with. Assuming all for entering and asking again, one
    more link of every chain is right each time, so that the longest chain's length is enough.
    """

    def counted(chosen: Tensor) -> Tensor:
        sums = F.pad(chosen.cumsum(0, dtype=torch.int32), (1, 0))
        return sums[stops.long()] - sums[starts.long()]

    count, index = len(starts), which.int()
    pixels = counted(mask)
    most = share * pixels
    enters = pixels > 0
    for _ in range(depth - 1):
        first = nobody.scatter_reduce(0, pixel, index.masked_fill(~(mask & enters[which]), count), "amin")
        enters = (pixels > 0) & (counted(mask & (first[pixel] < index)) <= most)
    return enters


def histograms(owner: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """How many pixels each of ``count`` instances has in every row and in every column: NxH and NxW int32."""
    height, width = owner.shape
    rows = torch.arange(height, device=owner.device)[:, None]
    columns = torch.arange(width, device=owner.device)
    down, across = (owner.long() * length + place for length, place in ((height, rows), (width, columns)))
    return _tally(down, (count + 1) * height).view(-1, height)[:count], _tally(across, (count + 1) * width).view(
        -1, width
    )[:count]


def cell_shares(owner: Tensor, count: int, size: tuple[int, int], cells: tuple[int, int], stride: int) -> Tensor:
    """M_t, as ``tracker.owner_masks``: the share of every cell that each instance fills, Nxhxw in [0, 1].

    Args:
        owner: HxW, ``count`` where there is nobody.
        size: height and width of the image inside the network's input.
        cells: h and w.
        stride: input pixels a cell.
    """
    if owner.shape != size:
        owner = F.interpolate(owner[None, None].float(), size=size, mode="nearest")[0, 0]
    rows, columns = cells
    down, across = (torch.arange(n, device=owner.device) // stride for n in size)
    index = owner.long() * (rows * columns) + (down * columns)[:, None] + across
    return _tally(index, (count + 1) * rows * columns).view(-1, rows, columns)[:count].float() / stride**2


def _tally(index: Tensor, length: int) -> Tensor:
    """How often each number below ``length`` occurs. ``bincount`` asks the device for the largest."""
    one = torch.ones(1, dtype=torch.int32, device=index.device).expand(index.numel())
    return torch.zeros(length, dtype=torch.int32, device=index.device).scatter_add_(0, index.flatten(), one)


def measured(rows: np.ndarray, columns: np.ndarray) -> list[Region | None]:
    """As ``panoptic.regions``, from ``histograms``; None for an instance without a pixel."""
    found: list[Region | None] = []
    for down, across in zip(rows, columns):
        ys, xs = np.flatnonzero(down), np.flatnonzero(across)
        if len(ys) == 0:
            found.append(None)
            continue
        area = int(down.sum())
        found.append(
            Region(
                (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1),
                area,
                float(xs @ across[xs].astype(np.int64)) / area + 0.5,
                float(ys @ down[ys].astype(np.int64)) / area + 0.5,
            )
        )
    return found


def label_map(owner: Tensor, winner: Tensor, labels: Tensor, classes: ClassSet, min_stuff_area: int) -> Tensor:
    """The HxW int32 label map, as ``panoptic.fuse`` and ``paint`` make it.

    Args:
        owner: HxW, positions in ``labels``, or their number.
        winner: of the canvas.
        labels: N int32, one an instance.
        min_stuff_area: stuff classes with fewer pixels become unlabelled.
    """
    stuff = tuple(c.id * LABEL_DIVISOR for c in classes.classes if not c.is_thing)
    free = winner.masked_fill(owner < len(labels), len(stuff))
    kinds = torch.arange(len(stuff), dtype=free.dtype, device=owner.device)
    areas = (free.flatten() == kinds[:, None]).sum(dim=1)
    of_stuff = constant(stuff, torch.int32, owner.device).masked_fill(areas < min_stuff_area, UNLABELLED)
    code = torch.where(owner < len(labels), owner, winner.int() + len(labels))
    return torch.cat([labels, of_stuff]).index_select(0, code.flatten()).view(owner.shape)


def upload(values: np.ndarray, device: torch.device) -> Tensor:
    """A small array on the device, without waiting for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def download(tensors: list[Tensor]) -> list[np.ndarray]:
    """Tensors of one device on the host, after a single wait."""
    if not tensors or tensors[0].device.type != "cuda":
        return [t.numpy() for t in tensors]
    copies = [torch.empty(t.shape, dtype=t.dtype, pin_memory=True).copy_(t, non_blocking=True) for t in tensors]
    torch.cuda.current_stream(tensors[0].device).synchronize()
    return [c.numpy() for c in copies]
