"""The instance head at inference in tensors of fixed size: nothing waits for the device to say how many there are.

What torchvision's RPN and RoI heads find one by one, each image and each step with as many boxes as are left, is found
here for the whole batch, places left over included; these come last and are marked. The outcome is torchvision's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from mapt_ros.model.instance import InstanceHead
from mapt_ros.model.rpn import best_boxes, clipped, decoded, widened

ROUNDS = 10  # of suppression; chains of boxes that suppress and save each other took five at most where we looked
_LEAST_PROPOSAL, _LEAST_BOX = 1e-3, 1e-2  # torchvision's least sides, in pixels


@dataclass(frozen=True)
class FixedDetections:
    """As many places for detections as the config allows, of every image of a batch, best first.

    Attributes:
        boxes: BxDx4, x0 y0 x1 y1 in pixels of the network's input.
        scores: BxD in [0, 1]; -1 in places left over, which come last.
        labels: BxD int64, 1 + index among the thing classes.
        mask_logits: BxDx28x28.
        settled: B bool, whether suppression came to its end in the rounds it has. If not, the rest means nothing.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    mask_logits: Tensor
    settled: Tensor


def find(
    head: InstanceHead, pyramid: dict[str, Tensor], sizes: list[tuple[int, int]], batch: Tensor
) -> FixedDetections:
    """What ``InstanceHead.forward`` finds, without its ``least_score``.

    Args:
        pyramid: {"P4" ... "P32"}, each BxCxh'xw'.
        sizes: height and width of every image inside the padded batch, all the same.
        batch: the padded input, BxCxHxW; only its shape, dtype and device matter.
    """
    levels = list(pyramid.values())
    objectness, deltas = head.rpn.head(levels)
    anchors = head.rpn.anchor_generator(ImageList(batch, sizes), levels)[0]
    proposals, usable, rpn_settled = propose(head, objectness, deltas, anchors, sizes[0])
    class_logits, box_deltas = head._classify(pyramid, list(proposals), sizes)
    boxes, scores, labels, settled = choose(head, class_logits, box_deltas, proposals, usable, sizes[0])
    boxes = widened(boxes, head.box_margin, sizes[0])
    masks = head._mask_logits(pyramid, list(boxes), list(labels), sizes)
    masks = masks.view(*labels.shape, *masks.shape[1:])
    return FixedDetections(boxes, scores, labels, masks, rpn_settled & settled)


def propose(
    head: InstanceHead, objectness: list[Tensor], deltas: list[Tensor], anchors: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The RPN's ``filter_proposals``.

    Args:
        objectness, deltas: of each level, BxAxhxw and Bx4Axhxw in single precision.
        anchors: Nx4 of all levels, cell by cell.
        size: height and width of the images.

    Returns:
        BxPx4 proposals, best first; BxP bool, which of them are some; B bool, whether suppression settled.
    """
    logits, boxes, levels = best_boxes(head.rpn, objectness, deltas, anchors)
    boxes, scores, levels = clipped(boxes, size), logits.sigmoid(), levels.expand(len(logits), -1)
    usable = large(boxes, _LEAST_PROPOSAL) & (scores >= head.rpn.score_thresh)
    index, kept, settled = suppressed(boxes, scores, levels, usable, head.rpn.nms_thresh, head.rpn.post_nms_top_n())
    return boxes.gather(1, index[..., None].expand(-1, -1, 4)), kept, settled


def choose(
    head: InstanceHead,
    class_logits: Tensor,
    deltas: Tensor,
    proposals: Tensor,
    usable: Tensor,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The RoI heads' ``postprocess_detections``.

    Args:
        class_logits, deltas: (B*P)xC and (B*P)x4C, background first, in single precision.
        proposals, usable: BxPx4 and BxP, as ``propose`` returns them.
        size: height and width of the images.

    Returns:
        BxDx4 boxes, BxD scores (-1 in places left over), BxD labels, B whether suppression settled.
    """
    roi_heads = head.roi_heads
    batch, count = usable.shape
    scores = class_logits.softmax(dim=-1).view(batch, count, -1)[..., 1:]
    things = scores.shape[-1]
    deltas = deltas.view(batch, count, things + 1, 4)[:, :, 1:]
    boxes = clipped(decoded(deltas, proposals[:, :, None], roi_heads.box_coder.weights), size).flatten(1, 2)
    labels = torch.arange(1, things + 1, device=boxes.device).expand_as(scores).flatten(1)
    usable = usable[..., None].expand_as(scores).flatten(1)
    scores = scores.flatten(1)
    usable = usable & (scores > roi_heads.score_thresh) & large(boxes, _LEAST_BOX)
    most = roi_heads.detections_per_img
    index, kept, settled = suppressed(boxes, scores, labels, usable, roi_heads.nms_thresh, most)
    scores = scores.gather(1, index).masked_fill(~kept, -1)
    return boxes.gather(1, index[..., None].expand(-1, -1, 4)), scores, labels.gather(1, index), settled


def suppressed(
    boxes: Tensor, scores: Tensor, groups: Tensor, usable: Tensor, threshold: float, most: int, rounds: int = ROUNDS
) -> tuple[Tensor, Tensor, Tensor]:
    """Non-maximum suppression within each group, as ``batched_nms``, all boxes at once.

    A box stays if no better one that stays overlaps it too much. Taking all for staying and asking again and again
    settles box after box from the best on; a chain of n boxes, each in reach of the one before, takes n - 1 rounds.

    Args:
        boxes: BxNx4.
        scores: BxN.
        groups: BxN; boxes of different groups let each other be.
        usable: BxN bool; the others count for nothing.
        threshold: a larger intersection over union is too much.
        most: how many are wanted at most.

    Returns:
        BxK indices (K = N or ``most``) of those that stay, best first, then others; BxK bool, which stay; B bool, whether
        all was settled in the rounds.
    """
    order = scores.masked_fill(~usable, -1).sort(dim=1, descending=True, stable=True).indices
    corners = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    groups, usable = groups.gather(1, order), usable.gather(1, order)
    low = torch.maximum(corners[:, :, None, :2], corners[:, None, :, :2])
    high = torch.minimum(corners[:, :, None, 2:], corners[:, None, :, 2:])
    both = (high - low).clamp(min=0).prod(dim=-1)
    area = (corners[..., 2:] - corners[..., :2]).prod(dim=-1)
    too_much = both / (area[:, :, None] + area[:, None] - both) > threshold
    dtype = torch.float16 if boxes.is_cuda else torch.float32  # of counts, of which only zero matters
    above = (too_much & (groups[:, :, None] == groups[:, None])).to(dtype).tril(-1)
    wanted = usable[..., None].to(dtype)
    keep = wanted
    with torch.autocast(boxes.device.type, enabled=False):
        for _ in range(rounds):
            keep = torch.baddbmm(wanted, above, keep, alpha=-1).clamp_(min=0)
        again = torch.baddbmm(wanted, above, keep, alpha=-1).clamp_(min=0)
    settled = (again == keep).flatten(1).all(dim=1)
    kept, first = keep[..., 0].sort(dim=1, descending=True, stable=True)
    return order.gather(1, first[:, :most]), kept[:, :most] > 0, settled


def large(boxes: Tensor, least: float) -> Tensor:
    """Which of ...x4 boxes have sides of at least so many pixels."""
    return (boxes[..., 2:] - boxes[..., :2]).amin(dim=-1) >= least
