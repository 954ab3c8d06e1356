"""What several rooms' tests share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A checkpoint of a real, narrow network with random weights that is biased to see things."""
    torch = pytest.importorskip("torch")
    from mapt_ros.model.checkpoint import save_checkpoint
    from mapt_ros.model.config import AppearanceConfig, InstanceConfig, ModelConfig, MotionConfig, SemanticConfig
    from mapt_ros.model.mapt import MAPT

    config = ModelConfig(
        name="tiny",
        backbone="regnet_y_400mf",
        fpn_channels=16,
        semantic=SemanticConfig(channels=16, dpc_channels=16),
        instance=InstanceConfig(proposals=20, detections=8, box_channels=16, mask_channels=16, canonical_box=56),
        motion=MotionConfig(channels=8, feature_channels=8),
        appearance=AppearanceConfig(channels=8, hidden=16, embedding=8),
    )
    torch.manual_seed(0)
    model = MAPT(config)
    torch.nn.init.constant_(model.instance.roi_heads.mask_predictor[-1].bias, 5.0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, model, tracker={"score_threshold": 0.0, "min_stuff_area": 0})
    return path
