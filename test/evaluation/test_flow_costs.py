"""RAFT and the motion head are compared on the same masks, and missing weights cost a line, not the study."""

import numpy as np
import pytest
import torch
from torchvision.models.optical_flow import Raft_Small_Weights, raft_small

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR
from mapt_ros.data.pairs import FramePair
from mapt_ros.data.targets import instance_targets
from mapt_ros.errors import InputError
from mapt_ros.evaluation.flow_costs import FLOWNET2_GMACS, FlowWarp, compare_flow
from mapt_ros.evaluation.propagation import PropagationQuality
from mapt_ros.model.mapt import MAPT
from mapt_ros.tracking.config import load_config

SIZE = (192, 128)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return MAPT(load_config("compact").model)


@pytest.fixture
def pair():
    """A car that moves by (16, 8) of the network's pixels; the images have twice its size."""
    labels = np.zeros((2, 2 * SIZE[0], 2 * SIZE[1]), np.int32)
    for map_, (x, y) in zip(labels, ((64, 64), (96, 80)), strict=True):
        map_[y : y + 64, x : x + 64] = 13 * LABEL_DIVISOR + 1
    images = np.random.default_rng(0).integers(0, 256, (*labels.shape, 3), dtype=np.uint8)
    return FramePair((images[0], labels[0]), (images[1], labels[1]), "0000", 0, 1)


def test_the_true_flow_carries_masks_exactly(pair):
    things = [instance_targets(labels, KITTI_STEP) for _, labels in (pair.previous, pair.current)]
    to_previous = torch.tensor([-32.0, -16.0])[None, :, None, None].expand(1, 2, *pair.current[1].shape)
    quality = PropagationQuality()
    quality.add(FlowWarp(4), to_previous, *things, size=pair.current[1].shape)
    assert quality.carried == pytest.approx([1.0], abs=1e-4)
    assert quality.copied[0] < 0.5


def test_without_weights_there_are_costs_and_a_reason(model, pair, tmp_path, monkeypatch):
    # RAFT-small's weights lie in the hub's folder, RAFT-large's do not and cannot be fetched.
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    torch.save(raft_small().state_dict(), checkpoints / Raft_Small_Weights.DEFAULT.url.rsplit("/", 1)[1])
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    result = compare_flow(model, (2 * SIZE[0], 2 * SIZE[1]), repeats=1, pairs=[pair], tracks=3)
    assert result["input"] == "192x128"
    head, small, large, flownet = (
        result["methods"][name] for name in ("motion head", "RAFT-small", "RAFT-large", "FlowNet2")
    )
    assert head["gmacs"] < small["gmacs"] < large["gmacs"]
    assert small["gmacs_paper_size"] == pytest.approx(462.4, abs=1)  # counted on real tensors once
    assert large["ms_ratio"] == pytest.approx(large["ms"] / head["ms"], rel=0.05)
    assert (flownet["gmacs_paper_size"], flownet["ms"]) == (FLOWNET2_GMACS, None)
    assert (head["things"], small["things"], large["things"]) == (1, 1, None)
    assert small["iou"] is not None and small["reason"] is None
    assert large["iou"] is None and large["reason"].startswith("https://") and "\n" not in large["reason"]
    # An untrained head leaves masks where they are.
    assert head["iou"] == pytest.approx(16 * 24 / (2 * 32 * 32 - 16 * 24), abs=1e-3)


def test_images_too_small_for_raft_are_told(model):
    with pytest.raises(InputError, match="size 192x96: RAFT needs 128x128"):
        compare_flow(model, (192, 96))
