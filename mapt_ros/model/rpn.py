"""The region proposal network: torchvision's, which knows crowd and decodes only the boxes that may become proposals."""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from mapt_ros.model.matching import match_anchors

MOSTLY = 0.5  # a box of which more than this is crowd is left out of the losses
_LARGEST_STEP = log(1000 / 16)  # torchvision's bound on how much a box may grow


class CrowdAwareRPN(RegionProposalNetwork):
    """torchvision's RPN, except that anchors which lie on crowd for the most part are not taught to be background.

    At inference only the boxes of each level's best anchors are decoded; the outcome is torchvision's.
    """

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """As torchvision's: Nx4 proposals an image, best first, and the losses, of which there are none at inference."""
        if self.training:
            return super().forward(images, features, targets)
        levels = list(features.values())
        objectness, deltas = self.head(levels)
        logits, boxes, level = best_boxes(self, objectness, deltas, self.anchor_generator(images, levels)[0])
        counts = torch.bincount(level, minlength=len(levels)).tolist()
        proposals, _ = self.filter_proposals(boxes, logits, images.image_sizes, counts)
        return proposals, {}

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """As torchvision's: 1 for things, 0 for background, -1 for what no loss looks at, and each anchor's box.

        Args:
            anchors: the same in every image.
        """
        matcher = self.proposal_matcher
        kinds, matched = match_anchors(
            anchors[0], [t["boxes"] for t in targets], matcher.high_threshold, matcher.low_threshold
        )
        for row, boxes, target in zip(kinds, anchors, targets):
            if "crowd" in target:
                row[(row == 0) & (covered(boxes, target["crowd"]) > MOSTLY)] = -1
        return list(kinds), list(matched)


class Anchors(AnchorGenerator):
    """torchvision's anchors in single precision whatever that of the features, made once for frames of one size.

    Half precision knows places beyond 1024 to the pixel only.
    """

    _made: tuple[tuple, list[Tensor]] = ((), [])

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Nx4 anchors an image; callers must leave them as they are."""
        sizes = [tuple(f.shape[-2:]) for f in feature_maps]
        key = (tuple(image_list.tensors.shape), tuple(image_list.image_sizes), *sizes, feature_maps[0].device)
        if self._made[0] != key:
            with torch.inference_mode(False):
                single = [torch.empty((), device=f.device).expand(1, 1, *f.shape[-2:]) for f in feature_maps]
                self._made = key, super().forward(image_list, single)
        return self._made[1]


class ProposalHead(RPNHead):
    """torchvision's RPN head; scores and box deltas come out in single precision, as boxes must be."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """BxCxh'xw' levels -> objectness and box deltas of each."""
        scores, deltas = super().forward(x)
        return [s.float() for s in scores], [d.float() for d in deltas]


def covered(boxes: Tensor, mask: Tensor) -> Tensor:
    """The share of each Nx4 box, as far as it lies in the image, that an HxW bool mask covers."""
    height, width = mask.shape
    sums = F.pad(mask.double().cumsum(dim=0).cumsum(dim=1), (1, 0, 1, 0))  # of all pixels above and to the left
    x0, x1 = (boxes[:, i].round().long().clamp(0, width) for i in (0, 2))
    y0, y1 = (boxes[:, i].round().long().clamp(0, height) for i in (1, 3))
    inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return inside / ((x1 - x0) * (y1 - y0)).clamp(min=1)


def best_boxes(
    rpn: RegionProposalNetwork, objectness: list[Tensor], deltas: list[Tensor], anchors: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The boxes of each level that suppression looks at.

    Args:
        objectness, deltas: of each level, BxAxhxw and Bx4Axhxw in single precision.
        anchors: Nx4 of all levels, cell by cell.

    Returns:
        BxK logits, best first within their level, level after level; BxKx4 boxes, not yet clipped; K int64, their levels.
    """
    logits, boxes, levels, first = [], [], [], 0
    for level, (here, moves) in enumerate(zip(objectness, deltas)):
        batch, kinds = here.shape[:2]
        here = here.permute(0, 2, 3, 1).flatten(1)
        moves = moves.unflatten(1, (kinds, 4)).permute(0, 3, 4, 1, 2).reshape(batch, -1, 4)
        best, index = here.topk(min(rpn.pre_nms_top_n(), here.shape[1]), dim=1)
        moves = moves.gather(1, index[..., None].expand(-1, -1, 4))
        boxes.append(decoded(moves, anchors[first : first + here.shape[1]][index], rpn.box_coder.weights))
        logits.append(best)
        levels.append(torch.full_like(index[0], level))
        first += here.shape[1]
    return torch.cat(logits, dim=1), torch.cat(boxes, dim=1), torch.cat(levels)


def decoded(deltas: Tensor, anchors: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """``BoxCoder.decode``: ...x4 deltas of ...x4 boxes -> ...x4 boxes."""
    sides = anchors[..., 2:] - anchors[..., :2]
    centres = anchors[..., :2] + 0.5 * sides
    centres = deltas[..., :2] / weights[0] * sides + centres
    half = 0.5 * ((deltas[..., 2:] / weights[2]).clamp(max=_LARGEST_STEP).exp() * sides)
    return torch.cat([centres - half, centres + half], dim=-1)


def clipped(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """...x4 boxes as far as they lie in an image of that height and width."""
    height, width = size
    return torch.stack([boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)], dim=-1).flatten(-2)


def widened(boxes: Tensor, margin: float, size: tuple[int, int]) -> Tensor:
    """...x4 boxes with ``margin`` times their sides more on every side, as far as they lie in an image of that size."""
    if not margin:
        return boxes
    more = margin * (boxes[..., 2:] - boxes[..., :2])
    return clipped(torch.cat([boxes[..., :2] - more, boxes[..., 2:] + more], dim=-1), size)
