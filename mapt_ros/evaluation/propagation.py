"""How well the motion head carries true masks from one frame to the next, beside leaving them where they were."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mapt_ros.model.instance import InstanceTargets
from mapt_ros.model.motion import MotionField
from mapt_ros.training.tracks import shared_tracks, strided_masks


class MaskCarrier(Protocol):
    """Carries Nxhxw soft masks, in cells of ``stride`` pixels, along what it takes for motion."""

    stride: int

    def propagate_masks(self, field: Any, masks: Tensor) -> Tensor: ...


@dataclass
class PropagationQuality:
    """IoUs of carried masks with the true ones, one for each thing that stands in two frames in a row.

    Attributes:
        displacement: pixels that the mask's centroid moved.
        carried, copied: IoU of the propagated mask, and of the unmoved one, with the mask in the current frame; masks are
            soft, in cells of the motion head's stride, and their IoU is the association's: sum of minima over sum of
            maxima.
    """

    displacement: list[float] = field(default_factory=list)
    carried: list[float] = field(default_factory=list)
    copied: list[float] = field(default_factory=list)

    def add(
        self, head: MaskCarrier, motion: Any, previous: InstanceTargets, current: InstanceTargets, size: tuple
    ) -> None:
        """Takes the things of two frames in a row.

        Args:
            head: the motion head, or what carries masks in its place.
            motion: the head's field between both frames, batch size 1.
            previous, current: their ground truth, on the head's device.
            size: height and width of the padded input.
        """
        before, now = shared_tracks(previous.track_ids, current.track_ids)
        if len(before) == 0:
            return
        old, new = previous.masks[before], current.masks[now]
        moved = (centroids(new) - centroids(old)).norm(dim=1)
        old, new = (strided_masks(masks, size, head.stride) for masks in (old, new))
        self.displacement += moved.tolist()
        self.carried += soft_iou(head.propagate_masks(motion, old), new).tolist()
        self.copied += soft_iou(old, new).tolist()

    def merge(self, other: "PropagationQuality") -> None:
        """Takes over what another one has seen."""
        self.displacement += other.displacement
        self.carried += other.carried
        self.copied += other.copied

    def summary(self, beyond: float = 8.0) -> dict[str, float | int | None]:
        """Mean IoUs of the things displaced by more than ``beyond`` pixels; None if there were none."""
        far = np.array(self.displacement) > beyond
        if not far.any():
            return {"things": 0, "carried_iou": None, "copied_iou": None, "gain": None}
        carried, copied = (float(np.array(values)[far].mean()) for values in (self.carried, self.copied))
        return {"things": int(far.sum()), "carried_iou": carried, "copied_iou": copied, "gain": carried - copied}


def centroids(masks: Tensor) -> Tensor:
    """NxHxW masks, none of them empty -> Nx2 mean (x, y) of their pixels."""
    masks = masks.float()
    y, x = (torch.arange(n, device=masks.device, dtype=masks.dtype) for n in masks.shape[1:])
    sums = torch.stack([(masks.sum(dim=1) * x).sum(dim=1), (masks.sum(dim=2) * y).sum(dim=1)], dim=1)
    return sums / masks.sum(dim=(1, 2))[:, None]


def soft_iou(one: Tensor, other: Tensor) -> Tensor:
    """NxhxW and Nxhxw masks in [0, 1], pair by pair: sum of minima over sum of maxima."""
    return torch.minimum(one, other).sum(dim=(1, 2)) / torch.maximum(one, other).sum(dim=(1, 2)).clamp(min=1e-6)


def shuffled(motion: MotionField, generator: torch.Generator) -> MotionField:
    """The field with its cells in random order: the same offsets, in the wrong places."""
    height, width = motion.attention.shape[-2:]
    order = torch.randperm(height * width, generator=generator).to(motion.attention.device)
    offsets = tuple(o.flatten(2)[..., order].view_as(o) for o in motion.offsets)
    return MotionField(offsets, motion.attention.flatten(2)[..., order].view_as(motion.attention))
