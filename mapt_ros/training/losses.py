"""MAPT's four losses over a batch of frame pairs: instance, semantic, motion, appearance."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mapt_ros.data.targets import IGNORED
from mapt_ros.model.instance import InstanceTargets, masks_in_boxes
from mapt_ros.model.mapt import MAPT, normalise, pad

_ID_RANGE = 1 << 32  # keeps track ids of different pairs of a batch apart


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


@dataclass(frozen=True)
class LossWeights:
    """The paper sums the four losses without giving weights; these are ours."""

    instance: float = 1.0
    semantic: float = 1.0
    motion: float = 1.0
    appearance: float = 0.5
    temperature: float = 0.1
    semantic_stride: int = 1  # the semantic loss looks at every n-th row and column


@dataclass(frozen=True)
class SharedFeatures:
    """What one pass through the shared parts leaves: the pyramid, S_t at the motion head's stride, both sizes in pixels."""

    pyramid: dict[str, Tensor]
    semantic: Tensor
    sizes: list[tuple[int, int]]
    padded_size: tuple[int, int]


def semantic_loss(logits: Tensor, target: Tensor, hardest: float = 0.25) -> Tensor:
    """Cross-entropy averaged over the hardest pixels of each image, then over images (EfficientPS, equation 3).

    Args:
        logits: BxKxhxw, at any stride; upsampled to the target's size.
        target: BxHxW int64 class indices, 255 = ignore.
        hardest: share of each image's labelled pixels that counts.
    """
    logits = F.interpolate(logits, size=target.shape[-2:], mode="bilinear", align_corners=False)
    pixels = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="none").flatten(1)
    per_image = []
    for losses, labelled in zip(pixels, (target != IGNORED).flatten(1)):
        count = max(1, int(hardest * int(labelled.sum())))
        per_image.append(losses.topk(count).values.mean())
    return torch.stack(per_image).mean()


def motion_loss(propagated: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy plus dice between propagated masks and the same tracks' masks in the current frame.

    Args:
        propagated, target: Nxhxw in [0, 1]. N = 0 gives zero.
    """
    if len(propagated) == 0:
        return propagated.sum()
    # Squeezed rather than clamped: a clamp has no gradient exactly where the mask is most wrong.
    squeezed = 1e-4 + (1 - 2e-4) * propagated
    entropy = F.binary_cross_entropy(squeezed, target, reduction="none").sum(dim=(1, 2))
    extent = target.sum(dim=(1, 2)) + 1
    dice = 1 - (2 * (propagated * target).sum(dim=(1, 2)) + 1) / (propagated.sum(dim=(1, 2)) + extent)
    return (entropy / extent + dice).mean()


def appearance_loss(
    previous: Tensor, previous_ids: Tensor, current: Tensor, current_ids: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy over the cosine similarities of track pairs, in both directions.

    Args:
        previous, current: NxE and MxE unit vectors.
        previous_ids, current_ids: N and M int64 track ids, each at most once a side. Tracks in one frame only serve as
            negatives.
    """
    similarity = current @ previous.T / temperature
    same = current_ids[:, None] == previous_ids[None]
    losses = []
    for scores, match in ((similarity, same), (similarity.T, same.T)):
        having = match.any(dim=1)
        if having.any():
            losses.append(F.cross_entropy(scores[having], match[having].int().argmax(dim=1)))
    return torch.stack(losses).mean() if losses else similarity.sum() * 0


def image_losses(
    model: MAPT, images: Tensor, classes: Tensor, things: list[InstanceTargets], weights: LossWeights
) -> tuple[dict[str, Tensor], SharedFeatures]:
    """The instance and semantic losses, which need no pairs, and the features that the other two go on from.

    Args:
        images: BxHxWx3 uint8 RGB, taken at their own size, whatever the config's input height.
        classes: BxHxW int64 class indices, 255 = ignore.
    """
    channels_first = images.permute(0, 3, 1, 2).float()
    sizes = [tuple(channels_first.shape[-2:])] * len(images)
    padded = pad(normalise(channels_first))
    padding = (0, padded.shape[3] - classes.shape[2], 0, padded.shape[2] - classes.shape[1])
    target = F.pad(classes, padding, value=IGNORED)
    thinning = slice(weights.semantic_stride // 2, None, weights.semantic_stride)

    pyramid = model.encode(padded)
    semantic = model.semantic(pyramid)
    instance = model.instance.losses(pyramid, sizes, padded, things)
    losses = {
        "instance": weights.instance * sum(instance.values()),
        "semantic": weights.semantic * semantic_loss(semantic.logits, target[:, thinning, thinning]),
    }
    return losses, SharedFeatures(pyramid, model.motion.to_stride(semantic.features), sizes, tuple(padded.shape[-2:]))


def mapt_losses(model: MAPT, batch: PairBatch, weights: LossWeights) -> dict[str, Tensor]:
    """The weighted losses of a batch of pairs by name; their sum is what training descends.

    The model must be in training mode.
    """
    pairs = len(batch.previous)
    things = [*batch.previous_things, *batch.current_things]
    losses, shared = image_losses(
        model,
        torch.cat([batch.previous, batch.current]),
        torch.cat([batch.previous_classes, batch.current_classes]),
        things,
        weights,
    )
    before, now = shared.semantic[:pairs], shared.semantic[pairs:]
    field = model.motion.field(before, now)
    moved = model.motion.propagate_features(field, before)
    propagated, targets = [], []
    for i, (old, new) in enumerate(zip(batch.previous_things, batch.current_things)):
        from_index, to_index = shared_tracks(old.track_ids, new.track_ids)
        masks = strided_masks(old.masks[from_index], shared.padded_size, model.motion.stride)
        propagated.append(model.motion.propagate_masks(field.of(i), masks))
        targets.append(strided_masks(new.masks[to_index], shared.padded_size, model.motion.stride))

    embeddings = model.appearance(
        shared.pyramid,
        shared.sizes,
        [t.boxes for t in things],
        [masks_in_boxes(t.masks, t.boxes, 2 * model.appearance.size) for t in things],
        torch.cat([torch.zeros_like(moved), moved]),
        [False] * pairs + [True] * pairs,
    )
    ids = [t.track_ids + (i % pairs) * _ID_RANGE for i, t in enumerate(things)]
    count = sum(len(t.boxes) for t in batch.previous_things)
    return losses | {
        "motion": weights.motion * motion_loss(torch.cat(propagated), torch.cat(targets)),
        "appearance": weights.appearance
        * appearance_loss(
            embeddings[:count],
            torch.cat(ids[:pairs]),
            embeddings[count:],
            torch.cat(ids[pairs:]),
            weights.temperature,
        ),
    }


def shared_tracks(old: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Indices into both lists of the track ids that stand in both."""
    return torch.nonzero(old[:, None] == new[None], as_tuple=True)


def strided_masks(masks: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """NxHxW masks, zero-padded to ``size``, averaged over cells: Nx(size / stride) float in [0, 1]."""
    if len(masks) == 0:
        return masks.new_zeros(0, size[0] // stride, size[1] // stride, dtype=torch.float32)
    padded = F.pad(masks.float(), (0, size[1] - masks.shape[2], 0, size[0] - masks.shape[1]))
    return F.avg_pool2d(padded[None], stride)[0]
