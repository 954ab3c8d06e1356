"""The convolution blocks that the pyramid and the heads are made of."""

from collections.abc import Callable
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """Group norm that on a CPU reckons bfloat16 and fp16 in single precision; what it returns has the input's dtype.

    PyTorch's takes fifteen times as long over bfloat16 whose channels are last.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.dtype not in (torch.bfloat16, torch.float16):
            return super().forward(x)
        normed = F.group_norm(x.float(), self.num_groups, self.weight.float(), self.bias.float(), self.eps)
        return normed.to(x.dtype)


def group_norm(channels: int) -> GroupNorm:
    """The norm of layers that see RoIs: unlike batch norm it does not depend on how many there are, none included."""
    return GroupNorm(gcd(8, channels), channels)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, norm, leaky ReLU; keeps height and width."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, norm: Callable[[int], nn.Module] = nn.BatchNorm2d):
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            norm(outputs),
            nn.LeakyReLU(0.01, inplace=True),
        )


class SeparableConv(nn.Module):
    """Depthwise 3x3 then pointwise 1x1, each with norm and leaky ReLU (EfficientPS's unit); keeps the size.

    Args:
        inputs, outputs: channels.
        dilation: of the depthwise part, as (rows, columns).
        norm: makes the norm layer for a number of channels.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        dilation: tuple[int, int] = (1, 1),
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ):
        super().__init__()
        self.depthwise = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs, bias=False),
            norm(inputs),
            nn.LeakyReLU(0.01, inplace=True),
        )
        self.pointwise = ConvNormAct(inputs, outputs, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class ResidualBlock(nn.Module):
    """ConvNeXt's block (Liu et al., 2022) with batch norm and leaky ReLU: what it adds to its input begins as 0.

    A depthwise 7x7 convolution, then two 1x1 ones with four times the channels in between.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels, bias=False), nn.BatchNorm2d(channels)
        )
        self.widen = nn.Sequential(nn.Conv2d(channels, 4 * channels, 1), nn.LeakyReLU(0.01, inplace=True))
        self.narrow = nn.Conv2d(4 * channels, channels, 1)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> the same."""
        return x + self.narrow(self.widen(self.depthwise(x)))


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    """``count`` blocks in a row; with a count of 0, the identity."""
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


def in_round_numbers(layers: nn.Module, items: Tensor, step: int = 128) -> Tensor:
    """Layers over NxCxhxw items that do not depend on each other; on CUDA while training, with N filled up.

    How many items there are changes with every step, and for every new number cuDNN plans its convolutions anew, which
    takes longer than the step.
    """
    if items.device.type != "cuda" or not torch.is_grad_enabled():
        return layers(items)
    return layers(F.pad(items, (0, 0, 0, 0, 0, 0, 0, -len(items) % step)))[: len(items)]
