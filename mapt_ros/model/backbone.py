"""RegNetY from torchvision and EfficientPS's 2-way feature pyramid on top of it."""

import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from mapt_ros.errors import InputError
from mapt_ros.model.layers import ConvNormAct, SeparableConv, residual_blocks

LEVELS = ("P4", "P8", "P16", "P32")  # named by stride
STRIDES = (4, 8, 16, 32)


class Backbone(nn.Module):
    """torchvision's RegNetY without its classifier: the four stages, at strides 4 to 32.

    Args:
        name: torchvision's name, such as ``regnet_y_8gf``.
        pretrained: start from torchvision's ImageNet weights (needs the network or torch's cache); otherwise random.

    Raises:
        InputError: the ImageNet weights were asked for and could not be had.
    """

    def __init__(self, name: str, pretrained: bool = False):
        super().__init__()
        try:
            network = torchvision.models.get_model(name, weights="DEFAULT" if pretrained else None)
        except OSError as error:  # URLError is one
            raise InputError(
                f"{name}: ImageNet weights could not be fetched ({error}); train from random ones"
            ) from error
        self.stem = network.stem
        self.stages = nn.ModuleList(network.trunk_output.children())
        self.widths = [stage[-1].f.c[0].out_channels for stage in self.stages]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Bx3xHxW normalised images -> four BxCxh'xw' maps at strides 4, 8, 16, 32."""
        x = self.stem(images)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


class TwoWayFPN(nn.Module):
    """A top-down and a bottom-up pyramid with laterals of their own, summed level by level (EfficientPS, section 3.2).

    Args:
        widths: channels of the four backbone maps, finest first.
        channels: channels of every output level.
        separable: whether the outputs' 3x3 convolutions are depthwise separable.
        blocks: residual blocks that each level ends with, finest first; EfficientPS has none.
    """

    def __init__(
        self,
        widths: list[int],
        channels: int,
        separable: bool = False,
        blocks: tuple[int, int, int, int] = (0, 0, 0, 0),
    ):
        super().__init__()
        self.top_down = nn.ModuleList(ConvNormAct(width, channels) for width in widths)
        self.bottom_up = nn.ModuleList(ConvNormAct(width, channels) for width in widths)
        self.outputs = nn.ModuleList(
            SeparableConv(channels, channels) if separable else ConvNormAct(channels, channels, 3) for _ in widths
        )
        self.blocks = nn.ModuleList(residual_blocks(channels, count) for count in blocks)

    def forward(self, maps: list[Tensor]) -> dict[str, Tensor]:
        """Four BxCxh'xw' maps, finest first -> {"P4": BxCx(H/4)x(W/4), ... "P32"}."""
        down = [lateral(x) for lateral, x in zip(self.top_down, maps)]
        up = [lateral(x) for lateral, x in zip(self.bottom_up, maps)]
        for i in reversed(range(len(maps) - 1)):
            down[i] = down[i] + F.interpolate(down[i + 1], size=down[i].shape[-2:], mode="nearest")
        for i in range(1, len(maps)):
            up[i] = up[i] + F.interpolate(up[i - 1], size=up[i].shape[-2:], mode="nearest")
        outputs = (blocks(out(d + u)) for blocks, out, d, u in zip(self.blocks, self.outputs, down, up))
        return dict(zip(LEVELS, outputs))
