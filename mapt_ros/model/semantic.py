"""EfficientPS's semantic head: LSFE on the fine levels, DPC on the coarse ones, mismatch correction between them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mapt_ros.model.config import SemanticConfig
from mapt_ros.model.layers import ConvNormAct, SeparableConv, residual_blocks


@dataclass(frozen=True)
class SemanticOutput:
    """What the semantic head says.

    Attributes:
        features: S_t, BxCx(H/4)x(W/4): the fused features before the logits.
        logits: BxKx(H/s)x(W/s), s the config's logit stride, K classes in the order of the class set.
    """

    features: Tensor
    logits: Tensor


class LargeScaleFeatureExtractor(nn.Sequential):
    """LSFE: two separable 3x3 convolutions for the fine levels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(SeparableConv(inputs, outputs), SeparableConv(outputs, outputs))


class MismatchCorrection(nn.Module):
    """MC: two separable 3x3 convolutions, then bilinear x2, before coarse features join finer ones."""

    def __init__(self, channels: int):
        super().__init__()
        self.convs = nn.Sequential(SeparableConv(channels, channels), SeparableConv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.convs(x), 2)


class DensePredictionCell(nn.Module):
    """DPC: five separable 3x3 convolutions at rates found by search, concatenated (Chen et al., 2018; EfficientPS)."""

    def __init__(self, inputs: int, channels: int, outputs: int):
        super().__init__()
        self.first = SeparableConv(inputs, channels, (1, 6))
        self.near = SeparableConv(channels, channels, (1, 1))
        self.middle = SeparableConv(channels, channels, (6, 21))
        self.far = SeparableConv(channels, channels, (18, 15))
        self.after_far = SeparableConv(channels, channels, (6, 3))
        self.join = ConvNormAct(5 * channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        far = self.far(first)
        return self.join(torch.cat([first, self.near(first), self.middle(first), far, self.after_far(far)], dim=1))


class DetailBranch(nn.Module):
    """What to add to the class logits, seen in the picture at their own stride: where thin things end, pixel by pixel.

    The picture's cells of s x s pixels join the logits as they are, so what is added may hang on both. It begins as
    nothing.

    Args:
        classes: of the logits.
        channels: between the convolutions.
        stride: of the logits.
        blocks: residual blocks before the last convolution.
    """

    def __init__(self, classes: int, channels: int, stride: int, blocks: int = 0):
        super().__init__()
        self.stride = stride
        self.join = ConvNormAct(classes + 3 * stride**2, channels, 3)
        self.refine = SeparableConv(channels, channels)
        self.blocks = residual_blocks(channels, blocks)
        self.classifier = nn.Conv2d(channels, classes, 1)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """BxKx(H/s)x(W/s) logits and Bx3xHxW normalised images -> what to add to the logits."""
        cells = torch.cat([logits, F.pixel_unshuffle(images, self.stride).to(logits.dtype)], dim=1)
        return self.classifier(self.blocks(self.refine(self.join(cells))))


class SemanticHead(nn.Module):
    """Semantic logits and S_t from the feature pyramid (EfficientPS, section 3.3).

    EfficientPS concatenates the four branches at stride 4 and applies a 1x1 convolution. A 1x1 convolution of a
    concatenation is a sum of 1x1 convolutions, and it commutes with bilinear upsampling, so each branch is projected at
    its own stride first, for a fraction of the cost; coarse branches are upsampled by 2 step by step, where EfficientPS
    goes up to 8 at once.

    With a logit stride of 2 the classifier says four values a class and cell, which become a 2x2 block of logits (Shi et
    al., arXiv 1609.05158): poles and wheels of two pixels' width stay apart from what is behind them, for 1x1's cost.
    """

    def __init__(self, inputs: int, classes: int, config: SemanticConfig):
        super().__init__()
        channels = config.channels
        self.dpc32 = DensePredictionCell(inputs, config.dpc_channels, channels)
        self.dpc16 = DensePredictionCell(inputs, config.dpc_channels, channels)
        self.lsfe8 = LargeScaleFeatureExtractor(inputs, channels)
        self.lsfe4 = LargeScaleFeatureExtractor(inputs, channels)
        self.correct16 = MismatchCorrection(channels)
        self.correct8 = MismatchCorrection(channels)
        self.project = nn.ModuleDict(
            {name: nn.Conv2d(channels, channels, 1, bias=False) for name in ("F4", "F8", "D16", "D32")}
        )
        self.fuse = nn.Sequential(nn.BatchNorm2d(channels), nn.LeakyReLU(0.01))
        self.blocks = residual_blocks(channels, config.blocks)
        self.logit_stride = config.logit_stride
        self.parts = 4 // config.logit_stride  # logits a side of each cell
        self.classifier = nn.Conv2d(channels, classes * self.parts**2, 1)
        width = config.detail_channels
        self.detail = DetailBranch(classes, width, config.logit_stride, config.detail_blocks) if width else None

    def forward(self, pyramid: dict[str, Tensor], images: Tensor) -> SemanticOutput:
        """{"P4" ... "P32"}, each BxCxh'xw', and the Bx3xHxW images that they are of -> S_t at stride 4 and class logits at
        the logit stride."""
        d32 = self.dpc32(pyramid["P32"])
        d16 = self.dpc16(pyramid["P16"])
        f8_context = self.correct16(d16 + upsample(d32, 2))
        f8 = self.lsfe8(pyramid["P8"]) + f8_context
        f4 = self.lsfe4(pyramid["P4"]) + self.correct8(f8)
        coarse = self.project["D16"](d16) + upsample(self.project["D32"](d32), 2)
        middle = self.project["F8"](f8) + upsample(coarse, 2)
        features = self.blocks(self.fuse(self.project["F4"](f4) + upsample(middle, 2)))
        logits = self.classifier(features)
        if self.parts > 1:
            logits = F.pixel_shuffle(logits, self.parts)
        if self.detail is not None:
            logits = logits + self.detail(logits, images)
        return SemanticOutput(features, logits)

    @torch.no_grad()
    def add_biases(self, biases: Tensor) -> None:
        """Adds one number a class, K of them, to all logits from now on."""
        if self.detail is None:
            bias, parts = self.classifier.bias, self.parts**2
        else:  # it has the last word; added before it, they would change what it says
            bias, parts = self.detail.classifier.bias, 1
        bias += biases.to(bias).repeat_interleave(parts)


class SemanticContext(nn.Module):
    """The pyramid with S_t added to its fine levels: what the semantic head saw helps to find small things.

    Hybrid Task Cascade (Chen et al., 2019) adds such features to each RoI; here they join the levels that RoIs come from,
    so the RPN has them too. It begins as nothing.

    Args:
        inputs: channels of S_t.
        channels: of the pyramid.
    """

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.project = nn.ModuleDict({level: nn.Conv2d(inputs, channels, 1) for level in ("P4", "P8")})
        for layer in self.project.values():
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, pyramid: dict[str, Tensor], features: Tensor) -> dict[str, Tensor]:
        """{"P4" ... "P32"}, each BxCxh'xw', and S_t at stride 4 -> the same levels."""
        fine, coarse = self.project["P4"](features), self.project["P8"](F.avg_pool2d(features, 2))
        return pyramid | {"P4": pyramid["P4"] + fine, "P8": pyramid["P8"] + coarse}


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear upsampling of BxCxHxW by a whole factor."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
