"""MAPT: shared backbone, four heads, and the order in which they run on one frame (arXiv 2503.09191)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mapt_ros.model.appearance import AppearanceHead
from mapt_ros.model.backbone import STRIDES, Backbone, TwoWayFPN
from mapt_ros.model.clock import Clock, untimed
from mapt_ros.model.config import ModelConfig
from mapt_ros.model.constants import constant
from mapt_ros.model.instance import Detections, InstanceHead
from mapt_ros.model.motion import MotionHead
from mapt_ros.model.semantic import SemanticContext, SemanticHead

_MEAN = (123.675, 116.28, 103.53)  # ImageNet's, on the 0-255 scale
_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class ImageBatch:
    """Images as the network takes them.

    Attributes:
        images: Bx3xHxW float, normalised, zero-padded at the bottom and right to a multiple of 32.
        sizes: height and width of every image before padding.
    """

    images: Tensor
    sizes: list[tuple[int, int]]


@dataclass(frozen=True)
class FrameState:
    """What the network needs of the previous frame of one camera.

    Attributes:
        semantic: S_{t-1}, Cxhxw, at the motion head's stride.
        masks: M_{t-1}, Nxhxw in [0, 1], one a track, at the same stride.
    """

    semantic: Tensor
    masks: Tensor


@dataclass(frozen=True)
class Perception:
    """What the network sees in B images by themselves, whatever came before them.

    Attributes:
        pyramid: {"P4" ... "P32"}, each BxCxh'xw', as the things' heads take it.
        semantic_logits: BxKx(H/s)x(W/s), s the logit stride, in the order of the class set.
        semantic: S_t, BxCxhxw at the motion head's stride.
        detections: one an image, without embeddings.
        sizes: height and width of every image inside the padded input.
    """

    pyramid: dict[str, Tensor]
    semantic_logits: Tensor
    semantic: Tensor
    detections: list[Detections]
    sizes: list[tuple[int, int]]


@dataclass(frozen=True)
class Prediction:
    """What the network says of one frame.

    Attributes:
        semantic_logits: Kx(H/s)x(W/s), s the logit stride, in the order of the class set.
        semantic: S_t, Cxhxw at the motion head's stride; the next frame's predecessor.
        detections: with embeddings.
        propagated_masks: M_{t-1 -> t}, Nxhxw in [0, 1]; None without a predecessor.
        size: height and width of the image inside the padded input.
    """

    semantic_logits: Tensor
    semantic: Tensor
    detections: Detections
    propagated_masks: Tensor | None
    size: tuple[int, int]


class MAPT(nn.Module):
    """The whole network. It holds weights only; what it remembers of a camera is a ``FrameState`` outside of it.

    Attributes:
        clock: told of every stage of a frame; may be replaced by one that measures.
    """

    def __init__(self, config: ModelConfig, pretrained_backbone: bool = False):
        super().__init__()
        self.config = config
        self.clock: Clock = untimed
        classes = config.classes
        self.backbone = Backbone(config.backbone, pretrained_backbone)
        self.fpn = TwoWayFPN(self.backbone.widths, config.fpn_channels, config.separable, config.fpn_blocks)
        self.semantic = SemanticHead(config.fpn_channels, len(classes.classes), config.semantic)
        context = config.instance.semantic_context
        self.context = SemanticContext(config.semantic.channels, config.fpn_channels) if context else None
        self.instance = InstanceHead(config.fpn_channels, len(classes.things), config.instance, config.separable)
        self.motion = MotionHead(config.semantic.channels, config.motion)
        self.appearance = AppearanceHead(
            config.fpn_channels, config.instance.canonical_box, config.motion, config.appearance
        )

    @property
    def device(self) -> torch.device:
        return self.motion.mask_kernels.device

    def prepare(self, images: list[Tensor]) -> ImageBatch:
        """Normalises, resizes to the config's height and pads: HxWx3 uint8 RGB images, all of one size -> a batch."""
        with self.clock("copy in"):
            return self._prepare(images)

    def _prepare(self, images: list[Tensor]) -> ImageBatch:
        batch = torch.stack(images)
        if self.device.type == "cuda":  # out of pinned memory the copy waits for nobody
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        return self.as_input(batch)

    def as_input(self, pictures: Tensor) -> ImageBatch:
        """BxHxWx3 uint8 RGB on the network's device -> the images as the network takes them."""
        batch = pictures.permute(0, 3, 1, 2).float()
        if self.config.input_height is not None and batch.shape[2] != self.config.input_height:
            height = self.config.input_height
            width = max(1, round(batch.shape[3] * height / batch.shape[2]))
            batch = F.interpolate(batch, size=(height, width), mode="bilinear", align_corners=False, antialias=True)
        return ImageBatch(pad(normalise(batch)), [tuple(batch.shape[2:])] * len(pictures))

    def encode(self, images: Tensor) -> dict[str, Tensor]:
        """Bx3xHxW normalised images, H and W multiples of 32 -> {"P4": BxCx(H/4)x(W/4), ... "P32"}."""
        with self.clock("backbone"):
            maps = self.backbone(images)
        with self.clock("FPN"):
            return self.fpn(maps)

    def for_things(self, pyramid: dict[str, Tensor], features: Tensor) -> dict[str, Tensor]:
        """The pyramid as the instance and appearance heads take it.

        Args:
            pyramid: {"P4" ... "P32"}, each BxCxh'xw'.
            features: S_t at stride 4, BxCx(H/4)x(W/4).
        """
        return pyramid if self.context is None else self.context(pyramid, features)

    def forward(
        self,
        batch: ImageBatch,
        previous: list[FrameState | None],
        use_propagated: bool = True,
        least_score: float = 0.0,
    ) -> list[Prediction]:
        """One frame of every camera of the batch.

        Args:
            batch: B images of one size.
            previous: what each camera's previous frame left, None where there is none.
            use_propagated: False leaves the propagated features out of the embeddings.
            least_score: detections below it get no mask and no embedding; they are left out.
        """
        seen = self.perceive(batch, least_score)
        with self.clock("motion"):
            propagated_masks, propagated_features = self._propagate(seen.semantic, previous)
        having = [state is not None for state in previous]
        detections = self.embed(seen, propagated_features, having, use_propagated)
        return [
            Prediction(seen.semantic_logits[i], seen.semantic[i], detections[i], masks, size)
            for i, (masks, size) in enumerate(zip(propagated_masks, batch.sizes))
        ]

    def perceive(self, batch: ImageBatch, least_score: float = 0.0) -> Perception:
        """What needs no predecessor: features, classes and detections (of ``least_score`` or more) of B images."""
        pyramid = self.encode(batch.images)
        with self.clock("semantic"):
            semantic = self.semantic(pyramid, batch.images)
            current = self.motion.to_stride(semantic.features)
        with self.clock("instance"):
            pyramid = self.for_things(pyramid, semantic.features)
            detections = self.instance(pyramid, batch.sizes, batch.images, least_score)
        return Perception(pyramid, semantic.logits, current, detections, batch.sizes)

    def embed(
        self, seen: Perception, propagated: Tensor | None, predecessors: list[bool], use_propagated: bool = True
    ) -> list[Detections]:
        """The detections with their embeddings.

        Args:
            propagated, predecessors, use_propagated: as the appearance head takes them.
        """
        detections = seen.detections
        with self.clock("appearance"):
            embeddings = self.appearance(
                seen.pyramid,
                seen.sizes,
                [d.boxes for d in detections],
                [d.mask_logits.sigmoid() for d in detections],
                propagated,
                predecessors,
                use_propagated,
            ).split([len(d) for d in detections])
        return [d.with_embeddings(e) for d, e in zip(detections, embeddings)]

    def _propagate(
        self, current: Tensor, previous: list[FrameState | None]
    ) -> tuple[list[Tensor | None], Tensor | None]:
        """Masks an image (None without predecessor) and BxFxhxw features (zeros there; None if no image has one)."""
        having = [i for i, state in enumerate(previous) if state is not None]
        if not having:
            return [None] * len(previous), None
        # Stacked with the channels last, as they lie in memory.
        before = torch.stack([previous[i].semantic.permute(1, 2, 0) for i in having]).permute(0, 3, 1, 2)
        field = self.motion.field(before, current if len(having) == len(previous) else current[having])
        moved = self.motion.propagate_features(field, before)
        features = moved.new_zeros(len(previous), *moved.shape[1:])
        features[having] = moved
        masks: list[Tensor | None] = [None] * len(previous)
        for k, i in enumerate(having):
            masks[i] = self.motion.propagate_masks(field.of(k), previous[i].masks)
        return masks, features


def normalise(images: Tensor) -> Tensor:
    """Bx3xHxW RGB in 0-255 -> ImageNet's mean 0 and deviation 1."""
    mean, std = (constant(values, images.dtype, images.device)[:, None, None] for values in (_MEAN, _STD))
    return (images - mean) / std


def pad(images: Tensor) -> Tensor:
    """Zero-pads BxCxHxW at the bottom and right to multiples of the coarsest stride."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % STRIDES[-1], 0, -height % STRIDES[-1]))
