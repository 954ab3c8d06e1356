"""MACs are counted right, and the motion head stays within the paper's cost."""

import pytest
import torch

from mapt_ros.errors import InputError
from mapt_ros.evaluation.bench import bench, count_macs, table
from mapt_ros.model.motion import MotionHead
from mapt_ros.model.warp import deformed_taps
from mapt_ros.tracking.config import load_config


@torch.inference_mode()
def test_a_convolution_and_bilinear_samples_are_counted_by_hand():
    x, weight = torch.rand(2, 6, 10, 12), torch.rand(8, 3, 3, 3)
    assert count_macs(lambda: torch.nn.functional.conv2d(x, weight, padding=1, groups=2)) == 2 * 120 * 9 * 8 * 3
    assert count_macs(lambda: deformed_taps(x, torch.zeros(2, 18, 10, 12), 1)) == 2 * 120 * 9 * 4 * 6


@torch.inference_mode()
@pytest.mark.parametrize("size", [(384, 1280), (1024, 1920)])
def test_the_motion_head_of_the_papers_config_costs_at_most_the_papers_3_5_gmacs(size):
    config = load_config("regnety_8gf").model
    head = MotionHead(config.semantic.channels, config.motion).eval()
    cells = (size[0] // config.motion.stride, size[1] // config.motion.stride)
    previous, current = torch.rand(2, 1, config.semantic.channels, *cells)
    masks = torch.rand(20, *cells)

    def run():
        field = head.field(previous, current)
        return head.propagate_features(field, previous), head.propagate_masks(field, masks)

    assert 0.1e9 < count_macs(run) <= 3.5e9


def test_every_stage_is_measured():
    result = bench("compact", size="64x96", device="cpu", instances=3, repeats=1)
    assert list(result["stages"]) == ["backbone", "fpn", "semantic", "instance", "motion", "appearance"]
    assert all(c["gmacs"] > 0 and c["parameters"] > 0 and c["ms_p50"] > 0 for c in result["stages"].values())
    assert len(table(result).splitlines()) == 9


@pytest.mark.parametrize("size", ["375", "0x0", "ax1", "1242*375"])
def test_a_size_that_is_none_is_one_line(size):
    with pytest.raises(InputError, match="HEIGHTxWIDTH"):
        bench("compact", size=size)
