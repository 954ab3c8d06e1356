"""The tracks that two frames share, and their masks in the cells in which the motion head carries them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mapt_ros.model.instance import InstanceTargets
from mapt_ros.model.matching import padded_places


@dataclass(frozen=True)
class JointTracks:
    """The tracks that stand in both frames of B pairs, filled up to the same number N of each pair.

    Attributes:
        previous_masks, masks: BxNxhxw in [0, 1], at the motion head's stride; empty where there is no track.
        previous_boxes, boxes: BxNx4, in cells.
        valid: BxN bool, where there is a track.
    """

    previous_masks: Tensor
    masks: Tensor
    previous_boxes: Tensor
    boxes: Tensor
    valid: Tensor


def joint_tracks(
    previous: list[InstanceTargets], current: list[InstanceTargets], size: tuple[int, int], stride: int
) -> JointTracks:
    """What the motion loss needs of the tracks in both frames of each pair.

    Args:
        previous, current: one a pair.
        size: height and width of the padded input.
        stride: of the motion head.
    """
    of_pair = [torch.full((len(t.track_ids),), i) for things in (previous, current) for i, t in enumerate(things)]
    ids = [torch.cat([t.track_ids for t in things]).cpu() for things in (previous, current)]
    pairs = torch.cat(of_pair[: len(previous)]), torch.cat(of_pair[len(previous) :])
    same = (ids[0][:, None] == ids[1][None]) & (pairs[0][:, None] == pairs[1][None])
    old, new = torch.nonzero(same, as_tuple=True)  # on the CPU, so that nobody waits for the device
    device = previous[0].boxes.device
    counts = torch.bincount(pairs[0][old], minlength=len(previous)).tolist()
    places, valid = padded_places(counts, max(counts), device)
    filling = torch.tensor([0.0, 0.0, 1.0, 1.0], device=device)

    def gathered(things: list[InstanceTargets], index: Tensor) -> tuple[Tensor, Tensor]:
        index = index.to(device)
        masks = strided_masks(torch.cat([t.masks for t in things])[index], size, stride)
        boxes = torch.cat([t.boxes for t in things])[index] / stride
        if len(index) == 0:
            return masks[None].expand(len(things), -1, -1, -1), boxes[None].expand(len(things), -1, -1)
        return masks[places] * valid[..., None, None], torch.where(valid[..., None], boxes[places], filling)

    (old_masks, old_boxes), (new_masks, new_boxes) = gathered(previous, old), gathered(current, new)
    return JointTracks(old_masks, new_masks, old_boxes, new_boxes, valid)


def shared_tracks(old: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Indices into both lists of the track ids that stand in both."""
    return torch.nonzero(old[:, None] == new[None], as_tuple=True)


def strided_masks(masks: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """NxHxW masks, zero-padded to ``size``, averaged over cells: Nx(size / stride) float in [0, 1]."""
    if len(masks) == 0:
        return masks.new_zeros(0, size[0] // stride, size[1] // stride, dtype=torch.float32)
    padded = F.pad(masks.float(), (0, size[1] - masks.shape[2], 0, size[0] - masks.shape[1]))
    return F.avg_pool2d(padded[None], stride)[0]
