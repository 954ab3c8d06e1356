"""What a frame costs, stage by stage, beside torchvision's Mask R-CNN with the same backbone in the same run."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import ceil, sqrt

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mapt_ros.errors import InputError
from mapt_ros.evaluation.costs import (
    StageCounter,
    StageTimer,
    count_macs,
    device_name,
    machine_limits,
    milliseconds,
    peak_megabytes,
)
from mapt_ros.evaluation.mask_rcnn import MaskRCNNReference
from mapt_ros.model.clock import STAGES
from mapt_ros.model.fixed import FixedDetections, find
from mapt_ros.model.inference import fold_batch_norm
from mapt_ros.model.instance import Detections
from mapt_ros.model.mapt import MAPT
from mapt_ros.tracking.config import MaptConfig, load_config
from mapt_ros.tracking.tracker import PRECISIONS, PanopticTracker, pick_device

__all__ = ["bench", "count_macs", "device_name", "milliseconds", "table", "tracker_that_sees"]

# The stage in which each of the network's parts runs.
_STAGES = {"backbone": "backbone", "fpn": "FPN", "semantic": "semantic", "context": "instance", "instance": "instance"}
_STAGES |= {"motion": "motion", "appearance": "appearance"}


@dataclass(frozen=True)
class StageCost:
    """Cost of one stage of a frame (of all cameras together).

    Attributes:
        parameters: of the network's part that runs in it.
        gmacs: multiply-accumulates, sampling included.
        mbytes: what its operations read and write, each by itself and those that work element by element left out.
        ms_p50, ms_p95: median and 95th percentile of its time.
        cpu_ms_p50: median time of all CPU threads in it.
        floor_ms: the least time that the machine needs for so many GMACs and bytes.
        of_limit: floor over median; 1 where nothing is lost.
    """

    parameters: int
    gmacs: float
    mbytes: float
    ms_p50: float
    ms_p95: float
    cpu_ms_p50: float
    floor_ms: float
    of_limit: float


def bench(
    config: str,
    *,
    size: str = "375x1242",
    device: str = "auto",
    instances: int = 20,
    cameras: int = 1,
    precision: str = "fp32",
    repeats: int = 5,
    mask_rcnn: bool = True,
    graphs: bool | None = None,
) -> dict:
    """Costs of tracking one frame of every camera, from images on the host to label maps on the host.

    Weights are random, which does not change the cost; what the instance head finds is replaced by as many instances
    as are asked for, side by side, after it has done all of its work, and all of them are tracked. Where frames run as
    CUDA graphs there is one a stage, so stages and the whole are times of the same frames; operations are counted in a
    frame without graphs, of the same operations.

    Args:
        config: a bundled config's name or a file.
        size: of the images, HEIGHTxWIDTH; the config's input height applies on top, for Mask R-CNN too.
        instances: detections and tracks of every camera.
        cameras: images in one batch.
        precision: as ``PanopticTracker`` takes it, for Mask R-CNN too.
        repeats: measured frames, in turns with Mask R-CNN's, after two to warm up.
        mask_rcnn: whether to measure it.
        graphs: as ``PanopticTracker`` takes it.

    Returns:
        ``config device precision size cameras instances graphs``; ``total_ms total_ms_p95 total_cpu_ms``, whole frames, the
        last being time of all CPU threads; ``stages``, each a ``StageCost`` as a dict; ``limits`` of the machine;
        ``peak_mb``; ``mask_rcnn_ms mask_rcnn_cpu_ms ratio_to_mask_rcnn ratio_of_cpu_time``, None where not measured.

    Raises:
        InputError: no such config, device or precision, or a size that is none.
    """
    target = pick_device(device)
    height, width = _parse_size(size)
    whole = load_config(config)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(cameras)]
    tracker = tracker_that_sees(whole, instances, target, precision, graphs)
    states = [tracker.new_state() for _ in images]
    parameters = Counter()
    for name, weight in tracker.model.named_parameters():
        parameters[_STAGES[name.partition(".")[0]]] += weight.numel()

    def ours() -> None:
        tracker.step(images, states, [None] * cameras)

    runs = {"ours": ours}
    if mask_rcnn:
        inner = tuple(tracker.model.prepare([torch.from_numpy(images[0])]).sizes[0])
        seen = [rng.integers(0, 256, (*inner, 3), dtype=np.uint8) for _ in images]
        reference = MaskRCNNReference(whole.model, *inner, instances, target)
        runs["mask_rcnn"] = lambda: reference(seen, PRECISIONS[precision])

    ours()  # the first frame has no predecessor
    counter = StageCounter()
    tracker.model.clock = counter
    with without_graphs(tracker):
        ours()
    timer = StageTimer(target)
    tracker.model.clock = timer
    if target.type == "cuda":
        torch.cuda.reset_peak_memory_stats(target)
    spent = {name: [] for name in runs}
    for repeat in tqdm(range(repeats + 1), desc="frames", leave=False, disable=None):
        for name, run in runs.items():
            begun = time.process_time()
            wall = milliseconds(run, target)
            if name == "ours":
                timer.end_frame()
            if repeat:
                spent[name].append((wall, (time.process_time() - begun) * 1e3))
    dtype = PRECISIONS[precision]
    limits = machine_limits(target, dtype or torch.float32)
    stages = {}
    for stage in STAGES:
        times = [frame.get(stage, 0.0) for frame in timer.frames[1:]]
        median, p95 = (round(float(np.percentile(times, q)), 3) for q in (50, 95))
        cpu = np.median([frame.get(stage, 0.0) for frame in timer.cpu_frames[1:]])
        floor = limits.floor_ms(counter.macs[stage], counter.bytes[stage])
        stages[stage] = StageCost(
            parameters[stage],
            round(counter.macs[stage] / 1e9, 4),
            round(counter.bytes[stage] / 1e6, 1),
            median,
            p95,
            round(float(cpu), 3),
            round(floor, 3),
            round(floor / median, 3) if median else 0.0,
        )
    medians = {name: np.median(values, axis=0) for name, values in spent.items()}
    total, total_cpu = medians["ours"]
    theirs, theirs_cpu = medians.get("mask_rcnn", (None, None))
    return {
        "config": whole.model.name,
        "device": device_name(target),
        "precision": precision,
        "size": f"{height}x{width}",
        "cameras": cameras,
        "instances": instances,
        "graphs": tracker.graphs is not None and tracker.graphs.capturing,
        "total_ms": _rounded(total),
        "total_ms_p95": _rounded(np.percentile([wall for wall, _ in spent["ours"]], 95)),
        "total_cpu_ms": _rounded(total_cpu),
        "stages": {name: asdict(cost) for name, cost in stages.items()},
        "limits": asdict(limits),
        "peak_mb": _rounded(peak_megabytes(target)),
        "mask_rcnn_ms": _rounded(theirs),
        "mask_rcnn_cpu_ms": _rounded(theirs_cpu),
        "ratio_to_mask_rcnn": None if theirs is None else round(float(total / theirs), 3),
        "ratio_of_cpu_time": None if theirs_cpu is None else round(float(total_cpu / theirs_cpu), 3),
    }


def table(result: dict) -> str:
    """The outcome of ``bench`` as text, one line a stage."""
    setting = f"{result['cameras']} x {result['instances']} instances, {result['precision']}, {result['device']}"
    setting += ", CUDA graphs" if result["graphs"] else ""
    lines = [
        f"{result['config']} at {result['size']}, {setting}",
        f"{'stage':<12}{'parameters':>12}{'GMACs':>10}{'MB':>9}{'ms p50':>10}{'ms p95':>10}{'CPU ms':>10}{'floor ms':>10}{'of limit':>10}",
    ]
    for name, c in result["stages"].items():
        lines.append(
            f"{name:<12}{c['parameters']:>12,}{c['gmacs']:>10.3f}{c['mbytes']:>9.1f}{c['ms_p50']:>10.1f}"
            f"{c['ms_p95']:>10.1f}{c['cpu_ms_p50']:>10.1f}{c['floor_ms']:>10.1f}{c['of_limit']:>10.2f}"
        )
    sums = [sum(c[key] for c in result["stages"].values()) for key in ("parameters", "gmacs", "mbytes")]
    lines.append(
        f"{'whole frame':<12}{sums[0]:>12,}{sums[1]:>10.3f}{sums[2]:>9.1f}{result['total_ms']:>10.1f}"
        f"{result['total_ms_p95']:>10.1f}{result['total_cpu_ms']:>10.1f}"
    )
    lines.append(f"peak memory {result['peak_mb']:.0f} MB")
    if result["mask_rcnn_ms"] is not None:
        lines.append(
            f"Mask R-CNN {result['mask_rcnn_ms']:.1f} ms, ratio {result['ratio_to_mask_rcnn']:.2f}"
            f" ({result['ratio_of_cpu_time']:.2f} of its CPU time)"
        )
    return "\n".join(lines)


def tracker_that_sees(
    config: MaptConfig,
    instances: int,
    device: torch.device,
    precision: str = "fp32",
    graphs: bool | None = None,
) -> PanopticTracker:
    """A tracker with random weights that finds and tracks as many instances in every image, and works for each.

    All else is done as the config's tracker section says.
    """
    # No threshold and no suppression: the head fills its quota.
    quota = {"detections": instances, "score_floor": 0.0, "nms_threshold": 1.0}
    head = config.model.instance.model_copy(update=quota)
    model = fold_batch_norm(MAPT(config.model.model_copy(update={"instance": head})).eval()).to(device)

    def side_by_side(_module, inputs: tuple, found: list[Detections]) -> list[Detections]:
        return [
            replace(
                f,
                boxes=_grid(instances, *size).to(device),
                mask_logits=torch.full((instances, 28, 28), 8.0, device=device),
            )
            if len(f) == instances
            else f
            for f, size in zip(found, inputs[1])
        ]

    model.instance.register_forward_hook(side_by_side)
    settings = config.tracker.model_copy(update={"score_threshold": 0.0, "max_taken": 1.0, "confirm_after": 1})
    tracker = PanopticTracker(model, settings, precision=precision, graphs=graphs)
    grids: dict[tuple[int, int], Tensor] = {}  # graphs read them where they lie

    def find_side_by_side(head, pyramid, sizes, batch) -> FixedDetections:
        found = find(head, pyramid, sizes, batch)
        if sizes[0] not in grids:
            grids[sizes[0]] = _grid(instances, *sizes[0]).to(device)
        boxes = grids[sizes[0]].expand_as(found.boxes).contiguous()
        return replace(found, boxes=boxes, mask_logits=torch.full_like(found.mask_logits, 8.0))

    if tracker.graphs is not None:
        tracker.graphs.finder = find_side_by_side
    return tracker


@contextmanager
def without_graphs(tracker: PanopticTracker) -> Iterator[None]:
    """Frames in tensors of fixed size, but kernel by kernel, so that they can be looked into."""
    graphs = tracker.graphs
    capturing = graphs is not None and graphs.capturing
    if capturing:
        graphs.capturing = False
    try:
        yield
    finally:
        if capturing:
            graphs.capturing = True


def _grid(count: int, height: int, width: int) -> Tensor:
    """So many boxes beside and below each other, Nx4."""
    columns = ceil(sqrt(count * width / height))
    rows = ceil(count / columns)
    index = torch.arange(count)
    corner = torch.stack([index % columns / columns * width, index // columns / rows * height], dim=1)
    return torch.cat([corner, corner + 0.8 * torch.tensor([width / columns, height / rows])], dim=1)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2)


def _parse_size(size: str) -> tuple[int, int]:
    height, _, width = size.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) >= 32 and int(width) >= 32):
        raise InputError(f"size {size!r}: expected HEIGHTxWIDTH of at least 32x32 pixels, such as 375x1242")
    return int(height), int(width)
