"""What several rooms' tests share."""

import os
from pathlib import Path

import pytest

# Before torch reads it, here and in every process that a test starts: the tensors are tiny, and on a busy machine
# threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny_config():
    """The config of the narrowest network that still has every part of MAPT."""
    from mapt_ros.model.config import AppearanceConfig, InstanceConfig, ModelConfig, MotionConfig, SemanticConfig

    return ModelConfig(
        name="tiny",
        backbone="regnet_y_400mf",
        fpn_channels=16,
        semantic=SemanticConfig(channels=16, dpc_channels=16),
        instance=InstanceConfig(
            anchor_sizes=(16, 32, 64, 128),
            train_proposals=32,
            proposals=20,
            sampled_rois=16,
            detections=8,
            box_channels=16,
            mask_channels=16,
            canonical_box=56,
        ),
        motion=MotionConfig(stride=4, channels=8, feature_channels=8),
        appearance=AppearanceConfig(channels=8, hidden=16, embedding=8),
    )


@pytest.fixture
def tiny_network(tiny_config):
    """A network of that config with random weights, always the same, in evaluation mode."""
    import torch

    from mapt_ros.model.mapt import MAPT

    torch.manual_seed(0)
    return MAPT(tiny_config).eval()


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory, tiny_config) -> Path:
    """A checkpoint of such a network, biased to see things."""
    import torch

    from mapt_ros.model.checkpoint import save_checkpoint
    from mapt_ros.model.mapt import MAPT

    torch.manual_seed(0)
    model = MAPT(tiny_config)
    torch.nn.init.constant_(model.instance.mask_predictor[-1].bias, 5.0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, model, tracker={"score_threshold": 0.0, "min_stuff_area": 0})
    return path
