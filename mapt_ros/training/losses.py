"""MAPT's four losses over a batch of frame pairs: instance, semantic, motion, appearance."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from mapt_ros.data.targets import IGNORED
from mapt_ros.model.instance import InstanceTargets, masks_in_boxes
from mapt_ros.model.mapt import MAPT, normalise, pad
from mapt_ros.model.sampling import seed_choices
from mapt_ros.training.interval import motion_reach
from mapt_ros.training.tracks import joint_tracks

_ID_RANGE = 1 << 32  # keeps track ids of different pairs of a batch apart
_LIFT = 0.02  # of probabilities before their logarithm in the motion loss

Shares = Callable[[list[int]], list[float]]
"""What turns means over a process's own part of a batch into its part of the means over the whole batch.

Given how many items each mean of this process ran over, it tells the factors to multiply them with, so that the average
over the processes, which is what DDP makes of the gradients, is the mean over all items of all processes.
"""


def alone(counts: list[int]) -> list[float]:
    """The shares of a process that has the whole batch."""
    return [1.0] * len(counts)


@dataclass(frozen=True)
class ImageBatch:
    """B frames of one size with their ground truth.

    Attributes:
        images: BxHxWx3 uint8 RGB.
        classes: BxHxW int64 class indices, 255 = ignore.
        things: the instances of each frame.
    """

    images: Tensor
    classes: Tensor
    things: list[InstanceTargets]


@dataclass(frozen=True)
class PairBatch:
    """B pairs of frames of one size, each pair from one sequence, with their ground truth.

    Attributes:
        previous, current: BxHxWx3 uint8 RGB.
        previous_classes, current_classes: BxHxW int64 class indices, 255 = ignore.
        previous_things, current_things: the instances of each frame; track ids agree within a pair.
    """

    previous: Tensor
    current: Tensor
    previous_classes: Tensor
    current_classes: Tensor
    previous_things: list[InstanceTargets]
    current_things: list[InstanceTargets]


class LossWeights(BaseModel):
    """The paper sums the four losses without giving weights; these are ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instance: float = Field(1.0, ge=0)
    instance_every: int = Field(
        1, ge=1, description="The instance loss looks at every n-th frame of a process's batch."
    )
    mask_overlap: float = Field(0.0, ge=0, description="Weight of the masks' soft Jaccard loss in the instance one.")
    semantic: float = Field(1.0, ge=0)
    motion: float = Field(1.0, ge=0)
    displacement: float = Field(0.2, ge=0, description="Share of the motion loss that looks at the offsets themselves.")
    appearance: float = Field(0.5, ge=0)
    temperature: float = Field(0.1, gt=0, description="Of the appearance loss.")
    semantic_stride: int = Field(1, ge=1, description="The semantic loss looks at every n-th row and column.")
    semantic_balance: float = Field(0.0, ge=0, le=1, description="Pixels weigh as their class's count to minus this.")
    semantic_overlap: float = Field(0.0, ge=0, description="Weight of the soft Jaccard loss in the semantic one.")


@dataclass(frozen=True)
class SharedFeatures:
    """What one pass through the shared parts leaves: the pyramid, S_t at the motion head's stride, both sizes in pixels."""

    pyramid: dict[str, Tensor]
    semantic: Tensor
    sizes: list[tuple[int, int]]
    padded_size: tuple[int, int]


def semantic_loss(logits: Tensor, target: Tensor, hardest: float = 0.25, balance: float = 0.0) -> Tensor:
    """Cross-entropy averaged over the hardest pixels of each image, then over those with any label (EfficientPS, eq. 3).

    Args:
        logits: BxKxhxw, at any stride; upsampled to the target's size.
        target: BxHxW int64 class indices, 255 = ignore.
        hardest: share of each image's labelled pixels that counts.
        balance: a pixel weighs as the count of its class in its image to minus this, 1 on average: 0 takes all alike,
            1 gives every class the same share.
    """
    logits = _at_size(logits, target.shape[-2:])
    pixels = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="none").flatten(1)
    classes = target.flatten(1)
    weighed = pixels * class_weights(classes, logits.shape[1], balance)
    labelled = (classes != IGNORED).sum(dim=1)
    counted = (hardest * labelled).long().clamp(min=1)
    worst = weighed.topk(max(1, int(hardest * pixels.shape[1])), dim=1).values  # as many as any image may count
    worst = worst * (torch.arange(worst.shape[1], device=worst.device) < counted[:, None])
    return (worst.sum(dim=1) / counted).sum() / (labelled > 0).sum().clamp(min=1)


def overlap_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft IoU (Jaccard index) of every class that an image shows, averaged over them, then over the images.

    The mean IoU and PQ count every class alike, however few pixels it has; this does too (Rahman and Wang, 2016).

    Args:
        logits: BxKxhxw, at any stride; upsampled to the target's size.
        target: BxHxW int64 class indices, 255 = ignore.
    """
    probabilities = _at_size(logits, target.shape[-2:]).softmax(dim=1).flatten(2)  # BxKxP
    classes = target.flatten(1)
    kinds = probabilities.shape[1]
    known = classes != IGNORED
    bins = classes.clamp(max=kinds - 1)[:, None]
    hits = probabilities.gather(1, bins)[:, 0] * known
    shared = hits.new_zeros(len(hits), kinds).scatter_add(1, bins[:, 0], hits)
    true = torch.zeros_like(shared).scatter_add(1, bins[:, 0], known.to(shared.dtype))
    # No product of matrices, which autocast would make in half precision.
    said = (probabilities * known[:, None]).sum(dim=2)
    shown = true > 0
    overlap = shared / (said + true - shared).clamp(min=1e-6)
    lost = ((1 - overlap) * shown).sum(dim=1) / shown.sum(dim=1).clamp(min=1)
    return lost.sum() / known.any(dim=1).sum().clamp(min=1)


def _at_size(logits: Tensor, size: torch.Size) -> Tensor:
    """BxKxhxw logits in single precision at this height and width."""
    logits = logits.float()
    return logits if logits.shape[-2:] == size else F.interpolate(logits, size=size, mode="bilinear")


def class_weights(classes: Tensor, kinds: int, balance: float) -> Tensor:
    """What each pixel weighs: the count of its class in its image to minus ``balance``, 1 on average; 0 without label.

    Args:
        classes: BxP int64 class indices below ``kinds``, 255 = ignore.

    Returns:
        BxP float.
    """
    bins = classes.clamp(max=kinds)
    counts = torch.zeros(len(classes), kinds + 1, device=classes.device)
    counts = counts.scatter_add_(1, bins, torch.ones_like(bins, dtype=counts.dtype))[:, :kinds]
    weights = counts.clamp(min=1) ** -balance
    weights = weights * (counts.sum(dim=1) / (weights * counts).sum(dim=1).clamp(min=1e-6))[:, None]
    return F.pad(weights, (0, 1)).gather(1, bins)


def motion_loss(propagated: Tensor, previous: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy plus dice between propagated masks and the same tracks' masks in the current frame.

    Args:
        propagated, previous, target: Nxhxw in [0, 1]; the propagated masks are those of ``previous``, carried on. N = 0
            gives zero.
    """
    if len(propagated) == 0:
        return propagated.sum()
    # Lifted rather than clamped: a clamp has no gradient exactly where the mask is most wrong. Not by less, or the slope
    # there, its inverse, lets the first steps of the motion head drown out all other heads.
    hit, missed = (torch.log(_LIFT + (1 - _LIFT) * p) for p in (propagated, 1 - propagated))
    entropy = -(target * hit + (1 - target) * missed).sum(dim=(1, 2))
    before, now = (masks.sum(dim=(1, 2)) + 1 for masks in (previous, target))
    dice = 1 - (2 * (propagated * target).sum(dim=(1, 2)) + 1) / (propagated.sum(dim=(1, 2)) + now)
    # By the larger extent: of a car that all but vanishes behind another, the few pixels left would count hundredfold.
    return (entropy / torch.maximum(before, now) + dice).mean()


def displacement_loss(
    offsets: list[Tensor], cells: Tensor, previous_boxes: Tensor, boxes: Tensor, reach: float
) -> Tensor:
    """Smooth L1 between where the centre taps look and where the instance's box says that its cells come from.

    Masks alone teach the offsets only along their edges, and nothing where old and new do not overlap; the boxes tell
    every cell, however far. Of instances cut by the frame or an occluder the box does not tell, so those whose sides
    change by more than a quarter are left out, and so are cells that come from beyond the head's reach.

    Args:
        offsets: one Bx18xhxw map a dilation, of B pairs of frames, in cells (``MotionField``).
        cells: BxNxhxw in [0, 1], the instances' masks in the current frame; empty ones fill up.
        previous_boxes, boxes: BxNx4 boxes of the same instances, in cells, none without extent.
        reach: how far the motion head can fetch from, in cells.

    Returns:
        BxN losses, 0 for those left out.
    """
    (before, before_size), (now, size) = (
        ((b[..., :2] + b[..., 2:]) / 2, b[..., 2:] - b[..., :2]) for b in (previous_boxes, boxes)
    )
    growth = before_size / size  # x, y
    height, width = cells.shape[-2:]
    y = torch.arange(height, device=cells.device) + 0.5
    x = torch.arange(width, device=cells.device) + 0.5
    flow_x, flow_y = (
        (before[..., i, None] - now[..., i, None]) + (places - now[..., i, None]) * (growth[..., i, None] - 1)
        for i, places in enumerate((x, y))
    )  # BxNxw and BxNxh
    weight = cells / cells.sum(dim=(-2, -1), keepdim=True).clamp(min=1e-6)
    weight = weight * ((growth > 0.8) & (growth < 1.25)).all(dim=-1)[..., None, None]
    weight = weight * ((flow_y.abs() <= reach)[..., None] & (flow_x.abs() <= reach)[..., None, :])
    flow_x, flow_y = flow_x[..., None, :].expand_as(cells), flow_y[..., None].expand_as(cells)
    losses = cells.new_zeros(cells.shape[:-2])
    for scale in offsets:
        dy, dx = scale[:, 8:9].float(), scale[:, 9:10].float()  # of the fifth of nine taps
        error = F.smooth_l1_loss(dy.expand_as(cells), flow_y, reduction="none")
        error = error + F.smooth_l1_loss(dx.expand_as(cells), flow_x, reduction="none")
        losses = losses + (error * weight).sum(dim=(-2, -1))
    return losses / len(offsets)


def appearance_loss(
    previous: Tensor, previous_ids: Tensor, current: Tensor, current_ids: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy over the cosine similarities of track pairs, in both directions.

    Only tracks of one pair of frames are compared, as the tracker does; what a track has to be told from does then not
    depend on which other pairs stand in the batch.

    Args:
        previous, current: NxE and MxE unit vectors.
        previous_ids, current_ids: N and M int64 track ids, each at most once a side; their upper 32 bits are the number
            of the pair. Tracks in one frame only serve as negatives.
    """
    with torch.autocast(current.device.type, enabled=False):  # a cosine in half precision tells too little
        similarity = current.float() @ previous.float().T / temperature
    strangers = (current_ids // _ID_RANGE)[:, None] != (previous_ids // _ID_RANGE)[None]
    similarity = similarity.masked_fill(strangers, -torch.inf)
    same = current_ids[:, None] == previous_ids[None]
    losses = []
    for scores, match in ((similarity, same), (similarity.T, same.T)):
        having = match.any(dim=1)
        if having.any():
            losses.append(F.cross_entropy(scores[having], match[having].int().argmax(dim=1)))
    return torch.stack(losses).mean() if losses else (current.sum() + previous.sum()) * 0


def image_losses(
    model: MAPT,
    images: Tensor,
    classes: Tensor,
    things: list[InstanceTargets],
    weights: LossWeights,
    seeds: list[int] | None = None,
    shares: Shares = alone,
) -> tuple[dict[str, Tensor], SharedFeatures]:
    """The instance and semantic losses, which need no pairs, and the features that the other two go on from.

    Args:
        images: BxHxWx3 uint8 RGB, taken at their own size, whatever the config's input height.
        classes: BxHxW int64 class indices, 255 = ignore.
        seeds: one an image, from which its anchors and RoIs are drawn; None draws them from torch's global generator.
        shares: of the whole batch's means, where other processes have other parts of it.
    """
    channels_first = images.permute(0, 3, 1, 2).float()
    sizes = [tuple(channels_first.shape[-2:])] * len(images)
    padded = pad(normalise(channels_first))
    padding = (0, padded.shape[3] - classes.shape[2], 0, padded.shape[2] - classes.shape[1])
    target = F.pad(classes, padding, value=IGNORED)
    thinning = slice(weights.semantic_stride // 2, None, weights.semantic_stride)

    pyramid = model.encode(padded)
    semantic = model.semantic(pyramid, padded)
    pyramid = model.for_things(pyramid, semantic.features)
    looked = slice(None, None, weights.instance_every)
    head = model.instance
    anchors, rois = seed_choices(
        head.rpn.fg_bg_sampler, head.roi_heads.fg_bg_sampler, None if seeds is None else seeds[looked]
    )
    instance = head.losses(
        {name: level[looked] for name, level in pyramid.items()}, sizes[looked], padded[looked], things[looked]
    )
    seen = target[:, thinning, thinning]
    labelled = int((seen != IGNORED).flatten(1).any(dim=1).sum())
    # What each of the head's means runs over.
    of_anchors, of_rois, of_masks, of_images = shares(
        [anchors.positives + anchors.negatives, rois.positives + rois.negatives, rois.positives, labelled]
    )
    losses = {
        "instance": weights.instance
        * (
            of_anchors * (instance["loss_objectness"] + instance["loss_rpn_box_reg"])
            + of_rois * (instance["classes"] + instance["boxes"])
            + of_masks * (instance["masks"] + weights.mask_overlap * instance["mask_overlaps"])
        ),
        "semantic": weights.semantic * of_images * _semantic(semantic.logits, seen, weights),
    }
    return losses, SharedFeatures(pyramid, model.motion.to_stride(semantic.features), sizes, tuple(padded.shape[-2:]))


def _semantic(logits: Tensor, seen: Tensor, weights: LossWeights) -> Tensor:
    """Of the hardest pixels, and of the overlaps where the weights ask for it."""
    logits = _at_size(logits, seen.shape[-2:])
    loss = semantic_loss(logits, seen, balance=weights.semantic_balance)
    return loss + weights.semantic_overlap * overlap_loss(logits, seen) if weights.semantic_overlap else loss


def mapt_losses(
    model: MAPT,
    batch: PairBatch,
    weights: LossWeights,
    seeds: list[int] | None = None,
    shares: Shares = alone,
) -> dict[str, Tensor]:
    """The weighted losses of a batch of pairs by name; their sum is what training descends.

    The model must be in training mode.

    Args:
        seeds, shares: as for ``image_losses``; the seeds of the previous frames, then those of the current ones.
    """
    pairs = len(batch.previous)
    things = [*batch.previous_things, *batch.current_things]
    losses, shared = image_losses(
        model,
        torch.cat([batch.previous, batch.current]),
        torch.cat([batch.previous_classes, batch.current_classes]),
        things,
        weights,
        seeds,
        shares,
    )
    before, now = shared.semantic[:pairs], shared.semantic[pairs:]
    field = model.motion.field(before, now)
    moved = model.motion.propagate_features(field, before)
    tracks = joint_tracks(batch.previous_things, batch.current_things, shared.padded_size, model.motion.stride)
    propagated = model.motion.propagate_masks(field, tracks.previous_masks)
    reach = motion_reach(model.config.motion) / model.motion.stride
    displacements = displacement_loss(list(field.offsets), tracks.masks, tracks.previous_boxes, tracks.boxes, reach)[
        tracks.valid
    ]

    every_mask, every_box = torch.cat([t.masks for t in things]), torch.cat([t.boxes for t in things])
    box_masks = masks_in_boxes(every_mask, every_box, 2 * model.appearance.size)
    embeddings = model.appearance(
        shared.pyramid,
        shared.sizes,
        [t.boxes for t in things],
        list(box_masks.split([len(t.boxes) for t in things])),
        torch.cat([torch.zeros_like(moved), moved]),
        [False] * pairs + [True] * pairs,
    )
    ids = [t.track_ids + (i % pairs) * _ID_RANGE for i, t in enumerate(things)]
    count = sum(len(t.boxes) for t in batch.previous_things)
    (of_tracks,) = shares([len(displacements)])  # those in both frames, which the appearance loss looks for too
    motion = motion_loss(*(masks[tracks.valid] for masks in (propagated, tracks.previous_masks, tracks.masks)))
    motion = motion + weights.displacement * (displacements.mean() if len(displacements) else displacements.sum())
    return losses | {
        "motion": weights.motion * of_tracks * motion,
        "appearance": weights.appearance
        * of_tracks
        * appearance_loss(
            embeddings[:count],
            torch.cat(ids[:pairs]),
            embeddings[count:],
            torch.cat(ids[pairs:]),
            weights.temperature,
        ),
    }
