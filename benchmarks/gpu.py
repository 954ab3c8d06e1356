"""Everything that only a GPU can show, in one run: exactness, time, cameras, instances, memory, kernels.

    python -m benchmarks.gpu --out DIR [--part NAME ...] [--brief] [--config regnety_8gf] [--size 375x1242] [--repeats 30]

Writes DIR/gpu.json after every part, so that a run that is cut off loses nothing, and prints the tables last. A part that
fails is recorded with what it said, and the next one begins.
"""

import argparse
import gc
import json
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.command import start
from benchmarks.convolutions import compared
from benchmarks.endurance import NARROW, resident_mb
from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.evaluation.bench import bench, table, tracker_that_sees, without_graphs
from mapt_ros.evaluation.costs import device_name, milliseconds
from mapt_ros.model.checkpoint import find_weights, load_checkpoint
from mapt_ros.model.inference import fold_batch_norm
from mapt_ros.model.mapt import MAPT
from mapt_ros.tracking.config import TrackerConfig, load_config
from mapt_ros.tracking.tracker import PanopticTracker, pick_device

SMALL = "compact"
FRAMES = 6  # of an exactness run
STUDY = "convolutions"  # a part that says what to change rather than how good things are


def main() -> None:
    """Runs the parts one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", action="append", choices=PARTS, help=f"may be given again; without, all but {STUDY}")
    parser.add_argument("--brief", action="store_true", help="of the timing only the large network in half precision")
    parser.add_argument("--config", default="regnety_8gf", help="the large network")
    parser.add_argument("--size", default="375x1242")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    device = pick_device(options.device)
    results = {"device": device_name(device), "torch": torch.__version__, "parts": {}}
    begun = time.perf_counter()
    for name in options.part or [part for part in PARTS if part != STUDY]:
        start = time.perf_counter()
        try:
            outcome = PARTS[name](options, device)
        except Exception as error:  # noqa: BLE001 - whatever one part says, the next one begins
            outcome = {"failed": f"{type(error).__name__}: {error}", "where": traceback.format_exc()[-3000:]}
        outcome["seconds"] = round(time.perf_counter() - start, 1)
        results["parts"][name] = outcome
        results["seconds"] = round(time.perf_counter() - begun, 1)
        (options.out / "gpu.json").write_text(json.dumps(results, indent=1) + "\n")
        print(f"{name}: {outcome['seconds']} s{' FAILED' if 'failed' in outcome else ''}", flush=True)
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    print(report(results))


def timing(options: argparse.Namespace, device: torch.device) -> dict:
    """The large network with half and single precision, the small one on small images, beside Mask R-CNN."""
    fp16 = _half(device)
    runs = [
        (options.config, fp16, options.size),
        (options.config, "fp32", options.size),
        (SMALL, fp16, "192x640"),
        (SMALL, "fp32", "192x640"),
    ]
    return {
        "runs": [
            bench(config, precision=precision, size=size, device=str(device), repeats=options.repeats)
            for config, precision, size in runs[: 1 if options.brief else None]
        ]
    }


def _half(device: torch.device) -> str:
    return "fp16" if device.type == "cuda" else "fp32"


def _sweep(options: argparse.Namespace, device: torch.device, points: list[dict]) -> dict:
    precision = _half(device)
    fixed = {"size": options.size, "device": str(device), "precision": precision, "repeats": options.repeats}
    return {"runs": [bench(options.config, **fixed | {"mask_rcnn": False} | point) for point in points]}


def cameras(options: argparse.Namespace, device: torch.device) -> dict:
    """1, 2 and 4 in one batch."""
    return _sweep(options, device, [{"cameras": n} for n in (1, 2, 4)])


def instances(options: argparse.Namespace, device: torch.device) -> dict:
    """1, 20 and 100."""
    return _sweep(options, device, [{"instances": n} for n in (1, 20, 100)])


def plain(options: argparse.Namespace, device: torch.device) -> dict:
    """The tracker without graphs."""
    return _sweep(options, device, [{"graphs": False}])


def moving_texture(height: int, width: int) -> list[np.ndarray]:
    """HxWx3 uint8 pictures of a random texture that moves 4 pixels right and 2 down a frame."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height // 12, width // 12, generator=random)
    margin = (height + 2 * FRAMES, width + 4 * FRAMES)
    large = F.interpolate(coarse, size=margin, mode="bicubic", align_corners=False)[0].clamp(0, 1)
    large = (0.85 * large + 0.15 * torch.rand(large.shape, generator=random)) * 255
    whole = large.permute(1, 2, 0).to(torch.uint8).numpy()
    return [np.ascontiguousarray(whole[2 * t : 2 * t + height, 4 * t : 4 * t + width]) for t in range(FRAMES)]


def exactness(options: argparse.Namespace, device: torch.device) -> dict:
    """The fast path beside the plain network in true single precision, from the same predecessors."""
    height, width = map(int, options.size.split("x"))
    rows = []
    settings = {
        "shipped compact": ("shipped", TrackerConfig(score_threshold=0.3, confirm_after=1)),
        f"random {options.config}": (options.config, TrackerConfig(score_threshold=0.0, confirm_after=1)),
    }
    precisions = ("fp32", "fp16", "bf16") if device.type == "cuda" else ("fp32",)
    for name, (kind, config) in settings.items():
        for precision in precisions:
            fast = PanopticTracker(fold_batch_norm(_network(kind)).to(device), config, precision=precision, graphs=True)
            reference = PanopticTracker(_network(kind).to(device), config, graphs=False)
            rows.append({"network": name, "precision": precision} | _compare(fast, reference, height, width))
    return {"rows": rows}


def _network(kind: str) -> MAPT:
    if kind == "shipped":
        return load_checkpoint(find_weights(SMALL))[0]
    torch.manual_seed(0)
    network = MAPT(load_config(kind).model).eval()
    torch.nn.init.constant_(network.instance.mask_predictor[-1].bias, 5.0)
    return network


@torch.inference_mode()
def _compare(fast: PanopticTracker, reference: PanopticTracker, height: int, width: int) -> dict:
    """Largest relative errors of S_t and logits, and the share of pixels with equal labels and equal classes."""
    worst = {"S_t": 0.0, "logits": 0.0, "propagated masks": 0.0}
    same, same_class, pixels, settled = 0, 0, 0, True
    tf32 = torch.backends.cudnn.allow_tf32
    for image in moving_texture(height, width):
        previous = reference.state.previous
        sight = fast.graphs([image], [previous], True)
        settled &= bool(sight.told[..., 6].all())
        moved = None if previous is None else fast.model.motion.propagate_masks(sight.field.of(0), previous.masks)
        got = {"S_t": sight.semantic[0].clone(), "logits": sight.semantic_logits[0].clone(), "propagated masks": moved}
        ours = fast(image)
        torch.backends.cudnn.allow_tf32 = False
        try:
            batch = reference.model.prepare([torch.from_numpy(image)])
            said = reference.model(batch, [previous])[0]
            theirs = reference(image)
        finally:
            torch.backends.cudnn.allow_tf32 = tf32
        wanted = {"S_t": said.semantic, "logits": said.semantic_logits, "propagated masks": said.propagated_masks}
        for key, tensor in got.items():
            if tensor is not None and tensor.numel():
                error = (tensor.float() - wanted[key].float()).abs().max() / wanted[key].abs().max().clamp(min=1e-12)
                worst[key] = max(worst[key], float(error.nan_to_num(nan=torch.inf)))
        same += int((ours.labels == theirs.labels).sum())
        same_class += int((ours.labels // LABEL_DIVISOR == theirs.labels // LABEL_DIVISOR).sum())
        pixels += ours.labels.size
    return {key: float(f"{error:.3g}") for key, error in worst.items()} | {
        "equal labels": round(same / pixels, 6),
        "equal classes": round(same_class / pixels, 6),
        "instances": [len(ours.instances), len(theirs.instances)],
        "settled": settled,
        "graphs": fast.graphs.capturing,
    }


def endurance(_options: argparse.Namespace, device: torch.device) -> dict:
    """2,000 frames of a narrow network: memory after the first and the last hundred, and the slowest frames."""
    torch.manual_seed(0)
    model = MAPT(NARROW).eval()
    torch.nn.init.constant_(model.instance.mask_predictor[-1].bias, 5.0)
    settings = TrackerConfig(score_threshold=0.0, confirm_after=1)
    tracker = PanopticTracker(fold_batch_norm(model).to(device), settings, graphs=True)
    pictures = np.random.default_rng(0).integers(0, 256, (50, 64, 128, 3), dtype=np.uint8)
    frames, memory, spent, born = 2000 if device.type == "cuda" else 40, [], [], 0
    for i in range(frames):
        spent.append(milliseconds(lambda i=i: tracker(pictures[i // 4 % 50], i * 100_000_000), device))
        born = max([born, *(track.instance.track_id for track in tracker.state.tracks)])
        if (i + 1) % (frames // 20) == 0:
            gc.collect()
            allocated = torch.cuda.memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0
            reserved = torch.cuda.memory_reserved(device) / 2**20 if device.type == "cuda" else 0.0
            memory.append([round(m, 2) for m in (allocated, reserved, resident_mb())])
    half = frames // 2
    return {
        "frames": frames,
        "born": born,
        "memory MB: allocated, reserved, resident": memory,
        "ms p50, p95 of the second tenth": _percentiles(spent[frames // 10 : frames // 5]),
        "ms p50, p95 of the second half": _percentiles(spent[half:]),
    }


def _percentiles(values: list[float]) -> list[float]:
    return [round(float(np.percentile(values, q)), 3) for q in (50, 95)]


def kernels(options: argparse.Namespace, device: torch.device) -> dict:
    """Where a frame's time goes kernel by kernel, and which calls wait for the device."""
    height, width = map(int, options.size.split("x"))
    precision = _half(device)
    tracker = tracker_that_sees(load_config(options.config), 20, device, precision, graphs=True)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    starts = [milliseconds(lambda: tracker(image), device) for _ in range(4)]
    waits = []
    if device.type == "cuda":
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                tracker(image)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        waits = [f"{Path(w.filename).name}:{w.lineno} {str(w.message)[:60]}" for w in caught]
    walls = [milliseconds(lambda: tracker(image), device) for _ in range(20)]
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    frames = 3
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(frames):
            tracker(image)
    on_device = [e for e in profile.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    sums: dict[str, list[float]] = {}
    for event in on_device:
        piece = sums.setdefault(event.name[:200], [0.0, 0])
        piece[0] += (event.time_range.end - event.time_range.start) / 1e3 / frames
        piece[1] += 1 / frames
    largest = sorted(sums.items(), key=lambda item: -item[1][0])[:50]
    return {
        "ms of the first frames": [round(ms, 1) for ms in starts],
        "wall ms p50, p95": _percentiles(walls),
        "kernels a frame": round(len(on_device) / frames, 1),
        "kernel ms a frame": round(sum(ms for ms, _ in sums.values()), 3),
        "largest: ms a frame, times a frame, name": [[round(ms, 4), round(n, 1), name] for name, (ms, n) in largest],
        "waits": waits,
    }


def operations(options: argparse.Namespace, device: torch.device) -> dict:
    """What a frame's operations cost on the device, by their inputs' shapes, without graphs so that they have names."""
    height, width = map(int, options.size.split("x"))
    tracker = tracker_that_sees(load_config(options.config), 20, device, _half(device), graphs=True)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with without_graphs(tracker):
        for _ in range(3):
            tracker(image)
        with torch.profiler.profile(record_shapes=True) as profile:
            tracker(image)
    rows = [
        [round(e.self_device_time_total / 1e3, 4), e.count, e.key[:80], str(e.input_shapes)[:120]]
        for e in profile.key_averages(group_by_input_shape=True)
    ]
    return {"largest: ms, times, name, shapes": sorted((r for r in rows if r[0]), key=lambda row: -row[0])[:70]}


def convolutions(options: argparse.Namespace, device: torch.device) -> dict:
    """Every 3x3 convolution in several ways."""
    if device.type != "cuda":
        return {}
    height, width = map(int, options.size.split("x"))
    tracker = tracker_that_sees(load_config(options.config), 20, device, _half(device), graphs=True)
    return {"times a frame, us by way, what": compared(tracker, height, width)}


PARTS: dict[str, Callable[[argparse.Namespace, torch.device], dict]] = {
    "timing": timing,
    "cameras": cameras,
    "instances": instances,
    "kernels": kernels,
    "operations": operations,
    STUDY: convolutions,
    "exactness": exactness,
    "plain": plain,
    "endurance": endurance,
}


def report(results: dict) -> str:
    """All parts as text, the compact ones first."""
    lines = [f"{results['device']}, torch {results['torch']}, {results['seconds']} s"]
    if runs := results["parts"].get("timing", {}).get("runs"):
        lines.append(table(runs[0]))
    for name, part in results["parts"].items():
        lines.append(f"\n== {name} ({part['seconds']} s)")
        if "failed" in part:
            lines += [part["failed"], part["where"]]
        for run in part.get("runs", []):
            lines.append(_line(run))
        if name in ("cameras", "instances") and "runs" in part:
            first = part["runs"][0]["total_ms"]
            lines.append("to the first: " + " ".join(f"{run['total_ms'] / first:.2f}" for run in part["runs"]))
        lines += [json.dumps(row) for row in part.get("rows", [])]
        rest = {key: value for key, value in part.items() if key not in ("runs", "rows", "failed", "where", "seconds")}
        for key, value in rest.items():
            listed = isinstance(value, list) and value and isinstance(value[0], (list, str))
            lines.append(f"{key}:" + ("".join(f"\n  {row}" for row in value) if listed else f" {value}"))
    return "\n".join(lines)


def _line(run: dict) -> str:
    stages = " ".join(f"{name} {cost['ms_p50']:.2f}" for name, cost in run["stages"].items())
    return (
        f"{run['config']} {run['precision']} {run['size']}, {run['cameras']} cameras x {run['instances']} instances:"
        f" {run['total_ms']} ms (p95 {run['total_ms_p95']}), Mask R-CNN {run['mask_rcnn_ms']}, peak {run['peak_mb']:.0f} MB, graphs {run['graphs']}; {stages}"
    )


if __name__ == "__main__":
    start(main)
