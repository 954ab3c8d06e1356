"""The appearance head: masked RoI features and propagated features, fused by learned attention, to an embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align as roi_align_op

from mapt_ros.model.config import AppearanceConfig, MotionConfig
from mapt_ros.model.layers import ConvNormAct, group_norm, in_round_numbers
from mapt_ros.model.roi import PyramidRoIAlign


class AppearanceHead(nn.Module):
    """Tracking embeddings of instances (MAPT, appearance head).

    The RoI features of the pyramid, masked by the instance, and the RoI of the propagated features, masked alike, are
    brought to the same width; the attention weights W_a and W_p, a softmax learned from both, weigh them; two fully
    connected layers make a unit vector of the sum. The cells keep their place in the box on purpose: a dark coat over
    light trousers is not light over dark.

    Args:
        inputs: channels of the pyramid.
        canonical_box: as for the instance head.
    """

    def __init__(self, inputs: int, canonical_box: int, motion: MotionConfig, config: AppearanceConfig):
        super().__init__()
        self.size = config.roi_size
        self.embedding_size = config.embedding
        self.motion_stride = motion.stride
        self.pool = PyramidRoIAlign(config.roi_size, canonical_box)
        self.project_appearance = ConvNormAct(inputs, config.channels, norm=group_norm)
        self.project_propagated = ConvNormAct(motion.feature_channels, config.channels, norm=group_norm)
        self.attention = nn.Linear(2 * config.channels, 2)
        self.embed = nn.Sequential(
            nn.Linear(config.channels * config.roi_size**2, config.hidden),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Linear(config.hidden, config.embedding),
        )

    def forward(
        self,
        pyramid: dict[str, Tensor],
        sizes: list[tuple[int, int]],
        boxes: list[Tensor],
        box_masks: list[Tensor],
        propagated: Tensor | None,
        predecessors: list[bool] | Tensor,
        use_propagated: bool = True,
    ) -> Tensor:
        """Embeddings of all boxes of the batch, image after image.

        Args:
            pyramid: {"P4" ... "P32"}, each BxCxh'xw'.
            sizes: height and width of every image in pixels.
            boxes: Nx4 an image, in pixels.
            box_masks: NxRxR an image, soft masks in [0, 1] inside each box, R a multiple of the RoI size.
            propagated: BxFxhxw propagated features; None if no image has a predecessor.
            predecessors: which images have one; the propagated features of the others do not count. As a tensor, B
                zeros and ones on the device, with equally many boxes an image.
            use_propagated: False leaves W_p out (the study of what motion adds to the embedding).

        Returns:
            (N1 + N2 + ...)xE unit vectors.
        """
        if sum(len(b) for b in boxes) == 0:
            return next(iter(pyramid.values())).new_zeros(0, self.embedding_size)
        masks = F.adaptive_avg_pool2d(torch.cat(box_masks)[:, None], self.size)
        appearance = in_round_numbers(self.project_appearance, self.pool(pyramid, boxes, sizes)) * masks
        if propagated is None or not use_propagated:
            moved = torch.zeros_like(appearance)
        else:
            rois = roi_align_op(propagated, boxes, self.size, 1 / self.motion_stride, sampling_ratio=2, aligned=False)
            # Zeros for an image without predecessor, whatever the norm's bias would make of zeros.
            if isinstance(predecessors, Tensor):
                having = predecessors.to(masks.dtype)[:, None].expand(-1, len(boxes[0])).flatten()
            else:
                having = masks.new_tensor([known for known, b in zip(predecessors, boxes) for _ in range(len(b))])
            moved = in_round_numbers(self.project_propagated, rois) * masks * having[:, None, None, None]
        if use_propagated:
            means = torch.cat([appearance.mean(dim=(2, 3)), moved.mean(dim=(2, 3))], dim=1)
            w_a, w_p = self.attention(means).softmax(dim=1).unbind(dim=1)
            fused = w_a[:, None, None, None] * appearance + w_p[:, None, None, None] * moved
        else:
            fused = appearance
        return F.normalize(self.embed(fused.flatten(1)), dim=1)
