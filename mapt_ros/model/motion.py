"""The motion head: offset maps from the semantic difference propagate the previous frame's masks and features.

S_{t-1} - S_t passes dilated convolutions, one for every dilation, each giving an offset map; multi-scale deformable
convolutions with these offsets carry the tracks' masks and S_{t-1} to the current frame (MAPT, motion head). The paper
does not give the widths or how the scales are joined: here a softmax over the scales, predicted at every cell, weighs
them, and the mask kernels are kept non-negative with sum 1, so a propagated mask is a weighted mean of mask values and
stays in [0, 1].

A difference says that something moved, hardly where to. So the difference is joined by how alike each cell of S_t is to
the cells of S_{t-1} that the undeformed kernels see: the correlation of optical flow, at the taps of this head alone.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mapt_ros.model.config import MotionConfig
from mapt_ros.model.layers import ConvNormAct
from mapt_ros.model.warp import deformed_taps, summed, tap_places


@dataclass(frozen=True)
class MotionField:
    """Where every cell of the current frame looks in the previous one.

    Attributes:
        offsets: one Bx18xhxw map a dilation: (dy, dx) for each of the 3x3 taps, in cells.
        attention: BxSxhxw, the share of each of the S dilations; sums to 1 over S.
    """

    offsets: tuple[Tensor, ...]
    attention: Tensor

    def of(self, image: int) -> "MotionField":
        """The field of one image of the batch, batch size 1."""
        at = slice(image, image + 1)
        return MotionField(tuple(o[at] for o in self.offsets), self.attention[at])


class MotionHead(nn.Module):
    """Propagates masks and features from the previous frame to the current one.

    Args:
        inputs: channels of S_t.
    """

    def __init__(self, inputs: int, config: MotionConfig):
        super().__init__()
        self.stride = config.stride
        self.dilations = config.dilations
        scales = len(config.dilations)
        self.reduce_difference = ConvNormAct(inputs, config.channels)
        self.embed = nn.Conv2d(inputs, config.correlation_channels, 1)
        self.join = ConvNormAct(config.channels + 8 * scales + 1, config.channels)
        self.offset_convs = nn.ModuleList(
            nn.Conv2d(config.channels, 18, 3, padding=d, dilation=d) for d in config.dilations
        )
        self.scale_attention = nn.Conv2d(config.channels, scales, 3, padding=1)
        self.reduce_features = ConvNormAct(inputs, config.feature_channels)
        width = config.feature_channels
        self.feature_kernels = nn.ParameterList(torch.empty(width, width, 3, 3) for _ in config.dilations)
        self.fuse_features = ConvNormAct(config.feature_channels, config.feature_channels)
        self.mask_kernels = nn.Parameter(torch.zeros(scales, 3, 3))
        self._initialise()

    def _initialise(self) -> None:
        """Zero offsets, equal scales and centre taps: what goes in comes out until training says otherwise."""
        for conv in (*self.offset_convs, self.scale_attention):
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)
        for kernel in self.feature_kernels:
            nn.init.kaiming_uniform_(kernel, a=1)
        with torch.no_grad():
            self.mask_kernels[:, 1, 1] = 1

    def to_stride(self, features: Tensor) -> Tensor:
        """S_t at stride 4 -> at the motion head's own stride, by averaging."""
        return F.avg_pool2d(features, self.stride // 4) if self.stride > 4 else features

    def field(self, previous: Tensor, current: Tensor) -> MotionField:
        """The motion field between two S maps, BxCxhxw each at the head's stride."""
        difference = self.reduce_difference(previous - current)
        alike = correlation(self.embed(previous), self.embed(current), self.dilations)
        cues = self.join(torch.cat([difference, alike], dim=1))
        # A place that is not a number is no place to read from.
        offsets = tuple(conv(cues).nan_to_num() for conv in self.offset_convs)
        return MotionField(offsets, self.scale_attention(cues).softmax(dim=1))

    def propagate_masks(self, field: MotionField, masks: Tensor) -> Tensor:
        """Carries soft masks along the field.

        Args:
            field: of one image (batch size 1), or of as many as the masks are of.
            masks: Nxhxw in [0, 1], one a track, at the head's stride; N may be 0. While training also BxNxhxw.

        Returns:
            As the masks, in [0, 1].
        """
        if masks.shape[-3] == 0:
            return masks
        if not torch.is_grad_enabled():
            return self.carried(self.mask_taps(field), masks[None])[0]
        kernels = self._mask_weights()
        batch = masks if masks.ndim == 4 else masks[None]
        moved = torch.zeros_like(batch)
        for scale, (dilation, offsets) in enumerate(zip(self.dilations, field.offsets)):
            seen = deformed_taps(batch, offsets, dilation)
            warped = torch.einsum("bnkhw,k->bnhw", seen, kernels[scale].flatten())
            moved = moved + field.attention[:, scale : scale + 1] * warped
        return moved.view_as(masks)

    def mask_taps(self, field: MotionField) -> tuple[Tensor, Tensor]:
        """Where the masks of every image of a field are read, and with what weights, as ``tap_places`` says it."""
        weights = field.attention[:, :, None] * self._mask_weights().flatten(1)[:, :, None, None]
        return tap_places(field.offsets, self.dilations, weights)

    def carried(self, taps: tuple[Tensor, Tensor], masks: Tensor) -> Tensor:
        """Carries BxNxhxw soft masks, N at least 1, to where ``mask_taps`` says; no gradient comes back."""
        return summed(masks, *taps)

    def _mask_weights(self) -> Tensor:
        """Dx3x3, non-negative, with sum 1."""
        # Clamped for the values but not for the gradient: a tap at or below zero must be able to come back.
        kernels = self.mask_kernels + (self.mask_kernels.clamp(min=0) - self.mask_kernels).detach()
        return kernels / kernels.sum(dim=(1, 2), keepdim=True).clamp(min=1e-6)

    def propagate_features(self, field: MotionField, previous: Tensor) -> Tensor:
        """Carries S_{t-1} along the field: BxCxhxw at the head's stride -> BxFxhxw, F propagated channels."""
        reduced = self.reduce_features(previous)
        moved = torch.zeros_like(reduced)
        for scale, (dilation, offsets) in enumerate(zip(self.dilations, field.offsets)):
            seen = deformed_taps(reduced, offsets, dilation).flatten(1, 2)  # BxF*9xhxw
            warped = F.conv2d(seen, self.feature_kernels[scale].flatten(1)[:, :, None, None])
            moved = moved + field.attention[:, scale : scale + 1] * warped
        return self.fuse_features(moved)


def correlation(previous: Tensor, current: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """How alike each current cell is to the previous ones at the taps of dilated 3x3 kernels.

    Args:
        previous, current: BxExhxw, of any length.

    Returns:
        Bx(8D + 1)xhxw cosines: the cell itself, then the eight taps around it in row-major order for each of the D
        dilations. Taps outside the map are 0.
    """
    previous, current = F.normalize(previous, dim=1), F.normalize(current, dim=1)
    height, width = current.shape[-2:]
    if not torch.is_grad_enabled():  # the same products in as many launches for one tap as for all
        reach = max(dilations)
        padded = F.pad(previous, (reach,) * 4)
        moves = [(0, 0)] + [(y, x) for d in dilations for y in (-d, 0, d) for x in (-d, 0, d) if (y, x) != (0, 0)]
        seen = [padded[..., reach + y : reach + y + height, reach + x : reach + x + width] for y, x in moves]
        return (torch.cat(seen, dim=1).unflatten(1, (len(moves), -1)) * current[:, None]).sum(dim=2)
    cosines = [(previous * current).sum(dim=1)]
    for d in dilations:
        padded = F.pad(previous, (d, d, d, d))
        for top in (0, d, 2 * d):
            for left in (0, d, 2 * d):
                if (top, left) != (d, d):
                    cosines.append((padded[..., top : top + height, left : left + width] * current).sum(dim=1))
    return torch.stack(cosines, dim=1)
