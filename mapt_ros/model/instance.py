"""The instance head: EfficientPS's modification of Mask R-CNN, assembled from torchvision's detection parts."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign

from mapt_ros.model.backbone import LEVELS
from mapt_ros.model.config import InstanceConfig
from mapt_ros.model.layers import SeparableConv, group_norm


@dataclass(frozen=True)
class Detections:
    """The detections in one image, best first.

    Attributes:
        boxes: Nx4, x0 y0 x1 y1 in pixels of the network's input.
        scores: N, in [0, 1].
        labels: N int64, 1 + index among the thing classes.
        mask_logits: Nx28x28, M_t: the logits of the detection's own class inside its box.
        embeddings: NxE, unit length; NxE of zeros width 0 until the appearance head has spoken.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    mask_logits: Tensor
    embeddings: Tensor

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, keep: Tensor) -> "Detections":
        """Those at the given indices (or under the given boolean mask)."""
        return Detections(
            self.boxes[keep], self.scores[keep], self.labels[keep], self.mask_logits[keep], self.embeddings[keep]
        )

    def with_embeddings(self, embeddings: Tensor) -> "Detections":
        return replace(self, embeddings=embeddings)


@dataclass(frozen=True)
class InstanceTargets:
    """Ground truth of the things in one image.

    Attributes:
        boxes: Nx4 float, x0 y0 x1 y1 in pixels.
        labels: N int64, 1 + index among the thing classes.
        masks: NxHxW uint8, visible pixels.
        track_ids: N int64, the same for the same thing in both frames of a pair.
    """

    boxes: Tensor
    labels: Tensor
    masks: Tensor
    track_ids: Tensor


class MaskPredictor(nn.Sequential):
    """Four separable 3x3 convolutions, x2 transposed convolution, 1x1 to one channel a class."""

    def __init__(self, inputs: int, channels: int, classes: int):
        super().__init__(
            *(SeparableConv(inputs if i == 0 else channels, channels, norm=group_norm) for i in range(4)),
            nn.ConvTranspose2d(channels, channels, 2, stride=2),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv2d(channels, classes, 1),
        )


class InstanceHead(nn.Module):
    """Boxes, classes, scores and mask logits from the feature pyramid.

    Args:
        inputs: channels of the pyramid.
        things: number of thing classes.
    """

    def __init__(self, inputs: int, things: int, config: InstanceConfig):
        super().__init__()
        anchors = AnchorGenerator(
            sizes=tuple((size,) for size in config.anchor_sizes), aspect_ratios=((0.5, 1.0, 2.0),) * len(LEVELS)
        )
        self.rpn = RegionProposalNetwork(
            anchors,
            RPNHead(inputs, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": config.train_proposals, "testing": config.proposals},
            post_nms_top_n={"training": config.train_proposals, "testing": config.proposals},
            nms_thresh=0.7,
        )
        classes = things + 1  # background first
        self.roi_heads = RoIHeads(
            box_roi_pool=roi_align(7, config.canonical_box),
            box_head=TwoMLPHead(inputs * 7 * 7, config.box_channels),
            box_predictor=FastRCNNPredictor(config.box_channels, classes),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=config.sampled_rois,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=config.score_floor,
            nms_thresh=config.nms_threshold,
            detections_per_img=config.detections,
            mask_roi_pool=roi_align(14, config.canonical_box),
            mask_head=nn.Identity(),
            mask_predictor=MaskPredictor(inputs, config.mask_channels, classes),
        )

    def forward(self, pyramid: dict[str, Tensor], sizes: list[tuple[int, int]], batch: Tensor) -> list[Detections]:
        """Detections of every image.

        Args:
            pyramid: {"P4" ... "P32"}, each BxCxh'xw'.
            sizes: height and width of every image inside the padded batch.
            batch: the padded input, BxCxHxW; only its shape, dtype and device matter.
        """
        proposals, _ = self.rpn(ImageList(batch, sizes), pyramid)
        results, _ = self.roi_heads(pyramid, proposals, sizes)
        return [
            Detections(
                r["boxes"],
                r["scores"],
                r["labels"],
                # RoIHeads ends with a sigmoid over the detection's own class; the fusion wants the logits back.
                torch.logit(r["masks"][:, 0], eps=1e-6),
                r["boxes"].new_zeros(len(r["boxes"]), 0),
            )
            for r in results
        ]

    def losses(
        self,
        pyramid: dict[str, Tensor],
        sizes: list[tuple[int, int]],
        batch: Tensor,
        targets: list[InstanceTargets],
    ) -> dict[str, Tensor]:
        """torchvision's RPN, box and mask losses; the head must be in training mode."""
        as_dicts = [{"boxes": t.boxes, "labels": t.labels, "masks": t.masks} for t in targets]
        proposals, rpn_losses = self.rpn(ImageList(batch, sizes), pyramid, as_dicts)
        _, roi_losses = self.roi_heads(pyramid, proposals, sizes, as_dicts)
        return rpn_losses | roi_losses


def roi_align(size: int, canonical_box: int) -> MultiScaleRoIAlign:
    """RoIAlign over the pyramid that takes a box of ``canonical_box`` pixels from P16 and smaller ones from finer levels."""
    return MultiScaleRoIAlign(list(LEVELS), size, sampling_ratio=2, canonical_scale=canonical_box, canonical_level=4)
