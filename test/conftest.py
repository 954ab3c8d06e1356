"""What several rooms' tests share."""

import os
from pathlib import Path

import pytest

# Before torch reads it, here and in every process that a test starts: the tensors are tiny, and on a busy machine
# threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny_drive() -> list:
    """Four 96x160 frames with their label maps: two cars and a person move before a striped street."""
    import numpy as np

    from mapt_ros.data.labels import LABEL_DIVISOR

    def frame(t: int) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = np.mgrid[:96, :160]
        labels = np.where(rows < 40, 10, 0) * LABEL_DIVISOR  # sky, road
        image = np.stack([90 + 40 * np.sin((columns + 2 * t) / k) + rows / 2 for k in (5, 7, 9)], axis=-1)
        things = [(13, 1, 20 + 4 * t, 38, 50, 28), (13, 2, 110 - 3 * t, 42, 30, 18), (11, 1, 84 + t, 30, 12, 36)]
        for class_id, track_id, x, y, width, height in things:
            inside = (abs(columns - x - width / 2) < width / 2) & (abs(rows - y - height / 2) < height / 2)
            labels[inside] = class_id * LABEL_DIVISOR + track_id
            image[inside] = (60 * track_id, 200 - 70 * track_id, 10 * class_id)
        return image.clip(0, 255).astype(np.uint8), labels.astype(np.int32)

    return [frame(t) for t in range(4)]


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
