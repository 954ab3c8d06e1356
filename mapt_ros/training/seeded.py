"""Random choice of anchors and RoIs that hangs on the image alone, whatever process or batch the image is in."""

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from mapt_ros.model.instance import InstanceHead

_ROI_SALT = 0x5DEECE66D  # the RoIs of an image are drawn otherwise than its anchors


class SeededSampler(BalancedPositiveNegativeSampler):
    """torchvision's sampler with one random generator an image instead of torch's global one.

    Attributes:
        seeds: one an image of the batch to come; None draws from the global generator, as torchvision does.
        positives, negatives: how many the last call chose in the whole batch.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        super().__init__(batch_size_per_image, positive_fraction)
        self.seeds: list[int] | None = None
        self.positives = 0
        self.negatives = 0

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """As torchvision's: of every image two masks, the chosen positives and the chosen negatives."""
        self.positives = self.negatives = 0
        seeds = self.seeds if self.seeds is not None else [None] * len(matched_idxs)
        chosen: tuple[list[Tensor], list[Tensor]] = ([], [])
        for matched, seed in zip(matched_idxs, seeds, strict=True):
            generator = None if seed is None else torch.Generator().manual_seed(seed)
            positive, negative = torch.where(matched >= 1)[0], torch.where(matched == 0)[0]
            count = min(len(positive), int(self.batch_size_per_image * self.positive_fraction))
            rest = min(len(negative), self.batch_size_per_image - count)
            for masks, candidates, number in ((chosen[0], positive, count), (chosen[1], negative, rest)):
                order = torch.randperm(len(candidates), generator=generator)[:number].to(matched.device)
                mask = torch.zeros_like(matched, dtype=torch.uint8)
                mask[candidates[order]] = 1
                masks.append(mask)
            self.positives += count
            self.negatives += rest
        return chosen


def seed_choices(head: InstanceHead, seeds: list[int] | None) -> tuple[SeededSampler, SeededSampler]:
    """Makes the head's next losses draw from these seeds, one an image.

    Returns:
        The samplers of anchors and of RoIs, which know afterwards how many they chose.
    """
    for owner in (head.rpn, head.roi_heads):
        sampler = owner.fg_bg_sampler
        if not isinstance(sampler, SeededSampler):
            owner.fg_bg_sampler = SeededSampler(sampler.batch_size_per_image, sampler.positive_fraction)
    anchors, rois = head.rpn.fg_bg_sampler, head.roi_heads.fg_bg_sampler
    anchors.seeds = seeds
    rois.seeds = None if seeds is None else [(seed ^ _ROI_SALT) & (2**63 - 1) for seed in seeds]
    return anchors, rois
