"""Which anchors and proposals stand for which thing while training: torchvision's rules, for all images at once."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

from mapt_ros.model.sampling import SeededSampler


@dataclass(frozen=True)
class ChosenRois:
    """The RoIs that the box and mask losses look at, image after image.

    Attributes:
        boxes: Nx4 in pixels.
        counts: how many an image.
        labels: N int64, 0 for background.
        things: N int64, for each the thing that it overlaps most, counted through all images; 0 where there is none.
        truth: Nx4, the box of that thing.
    """

    boxes: Tensor
    counts: list[int]
    labels: Tensor
    things: Tensor
    truth: Tensor


def match_anchors(anchors: Tensor, truth: list[Tensor], foreground: float, background: float) -> tuple[Tensor, Tensor]:
    """Faster R-CNN's rule for anchors (Ren et al., section 3.1.2), as torchvision's matcher applies it.

    An anchor is positive from an IoU of ``foreground`` on, or where no other anchor fits a thing better; negative below
    ``background``; else neither.

    Args:
        anchors: Ax4, the same in every image.
        truth: Gx4 an image; G may be 0.

    Returns:
        BxA float: 1, 0 and -1; BxAx4 boxes of the things that the anchors overlap most, zeros in images without.
    """
    counts = [len(boxes) for boxes in truth]
    most = max(counts)
    if most == 0:
        kinds = anchors.new_zeros(len(truth), len(anchors))
        return kinds, anchors.new_zeros(*kinds.shape, 4)
    every = torch.cat(truth)
    places, valid = padded_places(counts, most, anchors.device)
    overlaps = box_iou(every, anchors)[places].masked_fill(~valid[..., None], -1.0)  # BxGxA
    quality, matched = overlaps.max(dim=1)
    best = overlaps.amax(dim=2, keepdim=True)
    fits_best = ((overlaps == best) & valid[..., None]).any(dim=1)
    kinds = torch.where(quality < background, 0.0, -1.0).masked_fill(fits_best | (quality >= foreground), 1.0)
    boxes = every[places.gather(1, matched)]
    return kinds, boxes.masked_fill(~valid.any(dim=1)[:, None, None], 0.0)


def choose_rois(
    proposals: list[Tensor],
    truth: list[Tensor],
    labels: list[Tensor],
    sampler: SeededSampler,
    foreground: float,
) -> ChosenRois:
    """The things' own boxes join the proposals; those of an IoU of ``foreground`` with a thing stand for it.

    Args:
        proposals: Px4 an image.
        truth, labels: Gx4 and G an image.
    """
    counts = [len(p) + len(t) for p, t in zip(proposals, truth, strict=True)]
    boxes = torch.cat([part for pair in zip(proposals, truth) for part in pair])
    places, valid = padded_places(counts, max(1, *counts), boxes.device)
    image = torch.repeat_interleave(torch.tensor(counts)).to(boxes.device)
    every, kinds = torch.cat(truth), torch.cat(labels)
    if len(every):
        of = torch.repeat_interleave(torch.tensor([len(t) for t in truth])).to(boxes.device)
        quality, things = box_iou(every, boxes).masked_fill(of[:, None] != image, -1.0).max(dim=0)
        found = torch.where(quality >= foreground, kinds[things], 0)
        things = things.masked_fill(quality < 0, 0)
    else:
        found = things = boxes.new_zeros(len(boxes), dtype=torch.int64)
        every = boxes.new_zeros(1, 4)
    table = found.new_full(valid.shape, -1).masked_scatter(valid, found)
    positive, negative = sampler.choose(table)
    chosen = positive | negative
    picked = places[chosen]
    return ChosenRois(
        boxes[picked], chosen.sum(dim=1).tolist(), found[picked], things[picked], every[things[picked]].to(boxes.dtype)
    )


def padded_places(counts: list[int], most: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the items of each image stand in the list of all: Bx(most) int64 places, and which of them are any."""
    lengths = torch.tensor(counts)
    slots = torch.arange(most)
    valid = slots < lengths[:, None]
    places = (lengths.cumsum(0) - lengths)[:, None] + slots
    return (places * valid).to(device), valid.to(device)
