"""What each part of the network costs: parameters, multiply-accumulates, milliseconds."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from mapt_ros.errors import InputError
from mapt_ros.model.config import ModelConfig
from mapt_ros.model.mapt import MAPT
from mapt_ros.tracking.config import load_config
from mapt_ros.tracking.tracker import pick_device


@dataclass(frozen=True)
class StageCost:
    """Cost of one stage for one frame: parameters, GMACs, and the median and 95th percentile of its time."""

    parameters: int
    gmacs: float
    ms_p50: float
    ms_p95: float


def bench(config: str, *, size: str = "375x1242", device: str = "auto", instances: int = 20, repeats: int = 5) -> dict:
    """Costs of every stage on one frame, with random weights (they do not change the cost).

    Args:
        config: a bundled config's name or a file.
        size: of the image, HEIGHTxWIDTH; the config's input height applies on top.
        instances: detections and tracks in the frame.
        repeats: timed runs after one to warm up.

    Returns:
        ``config device size instances total_ms`` and ``stages``, each a ``StageCost`` as a dict.

    Raises:
        InputError: no such config or device, or a size that is none.
    """
    model_config = load_config(config).model
    target = pick_device(device)
    height, width = _parse_size(size)
    costs = stage_costs(model_config, height, width, target, instances, repeats)
    return {
        "config": model_config.name,
        "device": device_name(target),
        "size": f"{height}x{width}",
        "instances": instances,
        "total_ms": round(sum(c.ms_p50 for c in costs.values()), 2),
        "stages": {name: asdict(cost) for name, cost in costs.items()},
    }


def table(result: dict) -> str:
    """The outcome of ``bench`` as text, one line a stage."""
    lines = [f"{result['config']} at {result['size']}, {result['instances']} instances, {result['device']}"]
    lines.append(f"{'stage':<12}{'parameters':>12}{'GMACs':>10}{'ms p50':>10}{'ms p95':>10}")
    for name, c in result["stages"].items():
        lines.append(f"{name:<12}{c['parameters']:>12,}{c['gmacs']:>10.3f}{c['ms_p50']:>10.1f}{c['ms_p95']:>10.1f}")
    totals = [sum(c[key] for c in result["stages"].values()) for key in ("parameters", "gmacs")]
    lines.append(f"{'total':<12}{totals[0]:>12,}{totals[1]:>10.3f}{result['total_ms']:>10.1f}")
    return "\n".join(lines)


@torch.inference_mode()
def stage_costs(
    config: ModelConfig, height: int, width: int, device: torch.device, instances: int = 20, repeats: int = 5
) -> dict[str, StageCost]:
    """The stages of one frame in order: backbone, fpn, semantic, instance, motion, appearance."""
    # Random weights score every box about alike, so the head fills its quota: exactly `instances` detections.
    head = config.instance.model_copy(update={"detections": instances, "score_floor": 0.0})
    model = MAPT(config.model_copy(update={"instance": head})).to(device).eval()
    batch = model.prepare([torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)])
    maps = model.backbone(batch.images)
    pyramid = model.fpn(maps)
    current = model.motion.to_stride(model.semantic(pyramid).features)
    previous = torch.rand_like(current)
    masks = torch.rand(instances, *current.shape[-2:], device=device)
    detections = model.instance(pyramid, batch.sizes, batch.images)
    box_masks = [d.mask_logits.sigmoid() for d in detections]
    propagated = torch.rand(1, config.motion.feature_channels, *current.shape[-2:], device=device)

    def motion() -> Any:
        field = model.motion.field(previous, current)
        return model.motion.propagate_features(field, previous), model.motion.propagate_masks(field, masks)

    def appearance() -> Any:
        return model.appearance(pyramid, batch.sizes, [d.boxes for d in detections], box_masks, propagated, [True])

    stages: dict[str, tuple[nn.Module, Callable[[], Any]]] = {
        "backbone": (model.backbone, lambda: model.backbone(batch.images)),
        "fpn": (model.fpn, lambda: model.fpn(maps)),
        "semantic": (model.semantic, lambda: model.semantic(pyramid)),
        "instance": (model.instance, lambda: model.instance(pyramid, batch.sizes, batch.images)),
        "motion": (model.motion, motion),
        "appearance": (model.appearance, appearance),
    }
    costs = {}
    for name, (module, run) in tqdm(stages.items(), desc="stages", leave=False):
        times = [milliseconds(run, device) for _ in range(repeats + 1)][1:]
        costs[name] = StageCost(
            sum(p.numel() for p in module.parameters()),
            round(count_macs(run) / 1e9, 4),
            round(float(np.percentile(times, 50)), 2),
            round(float(np.percentile(times, 95)), 2),
        )
    return costs


def count_macs(run: Callable[[], Any]) -> int:
    """Multiply-accumulates of a call: torch's FlopCounterMode, halved, with bilinear samples counted too."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.grid_sampler_2d: grid_sample_flops}) as counter:
        run()
    return counter.get_total_flops() // 2


def grid_sample_flops(values, grid, *args, out_shape=None, **kwargs) -> int:
    """FLOPs (2 a MAC) of bilinear ``grid_sample`` from its arguments' shapes: 4 MACs a place and channel."""
    batch, channels = values[:2]
    return 2 * 4 * batch * channels * grid[1] * grid[2]


def device_name(device: torch.device) -> str:
    """What timings were taken on: the GPU's name, or the number of CPU threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


def milliseconds(run: Callable[[], Any], device: torch.device) -> float:
    """Wall time of one call, the device's work included."""
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) * 1e3


def _parse_size(size: str) -> tuple[int, int]:
    height, _, width = size.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) >= 32 and int(width) >= 32):
        raise InputError(f"size {size!r}: expected HEIGHTxWIDTH of at least 32x32 pixels, such as 375x1242")
    return int(height), int(width)
