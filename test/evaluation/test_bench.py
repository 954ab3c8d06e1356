"""MACs are counted right, the motion head stays within the paper's cost, and a frame is measured as it is tracked."""

import time

import pytest
import torch

from mapt_ros.errors import InputError
from mapt_ros.evaluation.bench import bench, table, tracker_that_sees
from mapt_ros.evaluation.costs import Limits, StageTimer, TrafficCounter, count_macs
from mapt_ros.model.clock import STAGES
from mapt_ros.model.inference import fold_batch_norm
from mapt_ros.model.mapt import MAPT
from mapt_ros.model.motion import MotionHead
from mapt_ros.model.warp import deformed_taps, weighted_taps
from mapt_ros.tracking.config import MaptConfig, TrackerConfig, load_config


@torch.inference_mode()
def test_a_convolution_and_bilinear_samples_are_counted_by_hand():
    x, weight = torch.rand(2, 6, 10, 12), torch.rand(8, 3, 3, 3)
    assert count_macs(lambda: torch.nn.functional.conv2d(x, weight, padding=1, groups=2)) == 2 * 120 * 9 * 8 * 3
    assert count_macs(lambda: deformed_taps(x, torch.zeros(2, 18, 10, 12), 1)) == 2 * 120 * 9 * 4 * 6
    offsets = (torch.zeros(1, 18, 10, 12),)
    assert count_macs(lambda: weighted_taps(x[0], offsets, (1,), torch.rand(1, 9, 10, 12))) == 120 * 9 * 4 * 6


def test_traffic_is_what_operations_read_and_write_without_views_and_elementwise_work():
    left, right = torch.rand(8, 4), torch.rand(4, 16)
    with TrafficCounter() as traffic:
        torch.relu((left @ right).T + 1)
    assert traffic.bytes == 4 * (8 * 4 + 4 * 16 + 8 * 16)


def test_the_floor_is_the_tighter_of_both_limits():
    limits = Limits(gmacs_per_s=10, gbytes_per_s=5)
    assert limits.floor_ms(10**9, 10**6) == pytest.approx(100)
    assert limits.floor_ms(10**6, 10**9) == pytest.approx(200)


def test_pieces_of_a_stage_are_summed_frame_by_frame():
    timer = StageTimer(torch.device("cpu"))
    for stages in (["fusion", "copy out", "fusion"], ["fusion"]):
        for stage in stages:
            with timer(stage):
                time.sleep(0.001)
        timer.end_frame()
    assert [sorted(frame) for frame in timer.frames] == [["copy out", "fusion"], ["fusion"]]
    assert timer.frames[0]["fusion"] >= 2  # milliseconds


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


def test_every_stage_is_measured_and_so_is_mask_rcnn():
    result = bench("compact", size="64x96", device="cpu", instances=3, cameras=2, repeats=1)
    assert tuple(result["stages"]) == STAGES
    assert all(cost["ms_p95"] >= cost["ms_p50"] > 0 for cost in result["stages"].values())
    network = ("backbone", "FPN", "semantic", "instance", "motion", "appearance")
    assert all(result["stages"][stage]["gmacs"] > 0 and result["stages"][stage]["parameters"] > 0 for stage in network)
    running = fold_batch_norm(MAPT(load_config("compact").model).eval())
    whole = sum(p.numel() for p in running.parameters())
    assert sum(cost["parameters"] for cost in result["stages"].values()) == whole
    assert result["mask_rcnn_ms"] > 0 and result["ratio_to_mask_rcnn"] > 0 and result["peak_mb"] > 0
    assert len(table(result).splitlines()) == 2 + len(STAGES) + 3


def test_the_measured_tracker_tracks_as_many_as_it_was_asked_to(tiny_config):
    tracker = tracker_that_sees(MaptConfig(model=tiny_config), 5, torch.device("cpu"))
    image = torch.randint(0, 256, (96, 160, 3), dtype=torch.uint8).numpy()
    ids = [{i.track_id for i in tracker(image).instances} for _ in range(3)]
    assert ids == [{1, 2, 3, 4, 5}] * 3


def test_the_measured_tracker_works_as_its_config_says(tiny_config):
    config = MaptConfig(model=tiny_config, tracker=TrackerConfig(min_stuff_iou=0.3, max_age=7))
    chosen = tracker_that_sees(config, 5, torch.device("cpu")).settings
    assert (chosen.min_stuff_iou, chosen.max_age, chosen.score_threshold) == (0.3, 7, 0.0)


@pytest.mark.parametrize("size", ["375", "0x0", "ax1", "1242*375"])
def test_a_size_that_is_none_is_one_line(size):
    with pytest.raises(InputError, match="HEIGHTxWIDTH"):
        bench("compact", size=size)
