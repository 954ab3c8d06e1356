"""The cost that users know: torchvision's Mask R-CNN as it comes, with our network's backbone, for the same image."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.mask_rcnn import MaskRCNN

from mapt_ros.model.backbone import Backbone
from mapt_ros.model.config import ModelConfig


class MaskRCNNReference:
    """Mask R-CNN with random weights: from an HxWx3 uint8 image to boxes and full-size masks on the host.

    Backbone, width of the pyramid, thing classes, number of proposals and detections are our network's; all else is
    torchvision's, but for its resizing, which is off. On a GPU its weights lie channels last and cuDNN may look for its
    fastest algorithms, as for our network; else it gets no optimisation that torchvision does not give it.

    Args:
        height, width: of the images.
        detections: an image; suppression and thresholds are set so that it finds exactly as many.
    """

    def __init__(self, config: ModelConfig, height: int, width: int, detections: int, device: torch.device):
        body = Backbone(config.backbone)
        features = nn.Sequential(body.stem, *body.stages)
        layers = {str(i + 1): str(i) for i in range(len(body.stages))}
        proposals = config.instance.proposals
        self._model = MaskRCNN(
            BackboneWithFPN(features, layers, body.widths, config.fpn_channels),
            num_classes=1 + len(config.classes.things),
            min_size=height,
            max_size=width,
            rpn_pre_nms_top_n_test=proposals,
            rpn_post_nms_top_n_test=proposals,
            box_detections_per_img=detections,
            box_score_thresh=0.0,
            box_nms_thresh=1.0,
            _skip_resize=True,
        )
        self._model.to(device).eval()
        if device.type == "cuda":
            self._model.to(memory_format=torch.channels_last)
        self._device = device

    @torch.inference_mode()
    def __call__(self, images: list[np.ndarray], dtype: torch.dtype | None = None) -> list[dict[str, Any]]:
        """Detections with HxW bool masks; ``dtype`` None is single precision."""
        benchmark = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = True
        try:
            with torch.autocast(self._device.type, dtype=dtype, enabled=dtype is not None):
                found = self._model([self._as_input(image) for image in images])
        finally:
            torch.backends.cudnn.benchmark = benchmark
        return [
            {name: (value[:, 0] > 0.5 if name == "masks" else value).cpu() for name, value in f.items()} for f in found
        ]

    def _as_input(self, image: np.ndarray) -> Tensor:
        return torch.from_numpy(image).to(self._device).permute(2, 0, 1) / 255
