"""The instance head: EfficientPS's modification of Mask R-CNN, assembled from torchvision's detection parts."""

from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.ops import roi_align as roi_align_op

from mapt_ros.model.backbone import LEVELS
from mapt_ros.model.config import InstanceConfig
from mapt_ros.model.layers import SeparableConv, group_norm, in_round_numbers
from mapt_ros.model.matching import choose_rois
from mapt_ros.model.roi import PyramidRoIAlign
from mapt_ros.model.rpn import MOSTLY, Anchors, CrowdAwareRPN, ProposalHead, covered, widened
from mapt_ros.model.sampling import SeededSampler


@dataclass(frozen=True)
class Detections:
    """The detections in one image, best first.

    Attributes:
        boxes: Nx4, x0 y0 x1 y1 in pixels of the network's input.
        scores: N, in [0, 1].
        labels: N int64, 1 + index among the thing classes.
        mask_logits: Nx28x28, M_t: the logits of the detection's own class inside its box.
        embeddings: NxE, unit length; Nx0 until the appearance head has spoken.
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
        crowd: HxW bool, where nobody told the things apart: what lies there mostly is no background either. None = no
            such pixels.
    """

    boxes: Tensor
    labels: Tensor
    masks: Tensor
    track_ids: Tensor
    crowd: Tensor | None = None

    def to(self, device: torch.device | str) -> "InstanceTargets":
        """The same on another device."""
        values = (getattr(self, f.name) for f in fields(self))
        return InstanceTargets(*(value if value is None else value.to(device) for value in values))


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

    Proposals and boxes are torchvision's. The mask branch is ours: its targets are aligned to the pixel, which
    torchvision's are only to half a pixel, and its logits come out as such.

    Args:
        inputs: channels of the pyramid.
        things: number of thing classes.
        separable: whether the RPN's 3x3 convolution is depthwise separable.
    """

    def __init__(self, inputs: int, things: int, config: InstanceConfig, separable: bool = False):
        super().__init__()
        anchors = Anchors(
            sizes=tuple(tuple(size * scale for scale in config.anchor_scales) for size in config.anchor_sizes),
            aspect_ratios=(config.anchor_ratios,) * len(LEVELS),
        )
        rpn_head = ProposalHead(inputs, anchors.num_anchors_per_location()[0])
        if separable:
            rpn_head.conv = SeparableConv(inputs, inputs)
        self.rpn = CrowdAwareRPN(
            anchors,
            rpn_head,
            fg_iou_thresh=config.anchor_iou,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": config.train_proposals, "testing": config.proposals},
            post_nms_top_n={"training": config.train_proposals, "testing": config.proposals},
            nms_thresh=0.7,
        )
        self.rpn.fg_bg_sampler = SeededSampler(256, 0.5)
        classes = things + 1  # background first
        self.roi_heads = RoIHeads(
            box_roi_pool=PyramidRoIAlign(7, config.canonical_box),
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
        )
        self.roi_heads.fg_bg_sampler = SeededSampler(config.sampled_rois, 0.25)
        self.box_margin = config.box_margin
        self.mask_pool = PyramidRoIAlign(14, config.canonical_box)
        self.mask_predictor = MaskPredictor(inputs, config.mask_channels, classes)

    def forward(
        self, pyramid: dict[str, Tensor], sizes: list[tuple[int, int]], batch: Tensor, least_score: float = 0.0
    ) -> list[Detections]:
        """Detections of every image.

        Args:
            pyramid: {"P4" ... "P32"}, each BxCxh'xw'.
            sizes: height and width of every image inside the padded batch.
            batch: the padded input, BxCxHxW; only its shape, dtype and device matter.
            least_score: detections below it are left out before any mask is made of them.
        """
        proposals, _ = self.rpn(ImageList(batch, sizes), pyramid)
        boxes, scores, labels = self.roi_heads.postprocess_detections(
            *self._classify(pyramid, proposals, sizes), proposals, sizes
        )
        if least_score > 0:  # they come best first
            counts = [int((s >= least_score).sum()) for s in scores]
            boxes, scores, labels = ([t[:n] for t, n in zip(v, counts)] for v in (boxes, scores, labels))
        boxes = [widened(b, self.box_margin, size) for b, size in zip(boxes, sizes)]
        mask_logits = self._mask_logits(pyramid, boxes, labels, sizes).split([len(b) for b in boxes])
        return [
            Detections(b, s, kinds, masks, b.new_zeros(len(b), 0))
            for b, s, kinds, masks in zip(boxes, scores, labels, mask_logits)
        ]

    def losses(
        self,
        pyramid: dict[str, Tensor],
        sizes: list[tuple[int, int]],
        batch: Tensor,
        targets: list[InstanceTargets],
    ) -> dict[str, Tensor]:
        """The RPN's two losses, the two of the boxes and the two of the masks; the head must be in training mode."""
        as_dicts = [
            {"boxes": t.boxes, "labels": t.labels} | ({} if t.crowd is None else {"crowd": t.crowd}) for t in targets
        ]
        proposals, losses = self.rpn(ImageList(batch, sizes), pyramid, as_dicts)
        proposals = [
            p if t.crowd is None else p[covered(p, t.crowd) <= MOSTLY] for p, t in zip(proposals, targets, strict=True)
        ]  # the things among the crowd come back, for torchvision adds their own boxes to the proposals
        rois = choose_rois(
            proposals,
            [t.boxes for t in targets],
            [t.labels for t in targets],
            self.roi_heads.fg_bg_sampler,
            self.roi_heads.proposal_matcher.high_threshold,
        )
        boxes = list(rois.boxes.split(rois.counts))
        class_logits, deltas = self._classify(pyramid, boxes, sizes)
        regression = self.roi_heads.box_coder.encode_single(rois.truth, rois.boxes)
        class_loss, box_loss = fastrcnn_loss(class_logits, deltas, [rois.labels], [regression])

        is_thing = rois.labels > 0
        counts = [int(n) for n in torch.stack([part.sum() for part in is_thing.split(rois.counts)]).tolist()]
        boxes, labels, things = (values[is_thing] for values in (rois.boxes, rois.labels, rois.things))
        mask_logits = self._mask_logits(pyramid, list(boxes.split(counts)), [labels], sizes)
        wanted = masks_in_boxes(torch.cat([t.masks for t in targets]), boxes, mask_logits.shape[-1], things)
        mask_loss = F.binary_cross_entropy_with_logits(mask_logits, wanted) if len(wanted) else mask_logits.sum()
        overlap_loss = mask_overlap_loss(mask_logits, wanted)
        return losses | {"classes": class_loss, "boxes": box_loss, "masks": mask_loss, "mask_overlaps": overlap_loss}

    def _classify(
        self, pyramid: dict[str, Tensor], boxes: list[Tensor], sizes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Class logits and box deltas of all proposals of the batch."""
        pooled = self.roi_heads.box_roi_pool(pyramid, boxes, sizes)
        scores, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))
        return scores.float(), deltas.float()

    def _mask_logits(
        self, pyramid: dict[str, Tensor], boxes: list[Tensor], labels: list[Tensor], sizes: list[tuple[int, int]]
    ) -> Tensor:
        """(N1 + N2 + ...)x28x28 logits, each of its box's own class."""
        kinds = torch.cat(labels)
        logits = in_round_numbers(self.mask_predictor, self.mask_pool(pyramid, boxes, sizes))
        return logits[torch.arange(len(kinds), device=kinds.device), kinds]


def mask_overlap_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """One minus the soft IoU (Jaccard index) of masks with what they should be, averaged over them.

    Every mask counts alike, as in PQ and STQ's association quality, however few of its box's cells it fills.

    Args:
        logits: NxMxM; N = 0 gives zero.
        wanted: NxMxM in [0, 1].
    """
    if len(wanted) == 0:
        return logits.sum()
    said = logits.float().sigmoid()
    shared = (said * wanted).sum(dim=(1, 2))
    either = (said + wanted).sum(dim=(1, 2)) - shared
    return (1 - shared / either.clamp(min=1e-6)).mean()


def masks_in_boxes(masks: Tensor, boxes: Tensor, size: int, of: Tensor | None = None) -> Tensor:
    """Masks seen through boxes, each box looking at one of them.

    Args:
        masks: NxHxW.
        boxes: Kx4 in pixels.
        of: K int64, the mask that each box looks at; None = its own, in order.

    Returns:
        Kx(size)x(size) in [0, 1].
    """
    if len(boxes) == 0:
        return boxes.new_zeros(0, size, size)
    index = torch.arange(len(boxes), device=boxes.device) if of is None else of
    rois = torch.cat([index[:, None].to(boxes.dtype), boxes], dim=1)
    return roi_align_op(masks[:, None].to(boxes.dtype), rois, size, aligned=True)[:, 0]
