"""The motion head beside optical flow: what carrying the tracks' masks costs, and how well it is done, with RAFT instead.

RAFT: Teed and Deng, arXiv 2003.12039, as torchvision builds it. FlowNet2's cost is quoted from MAPT, arXiv 2503.09191.
"""

import http.client
import pickle
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.optical_flow import Raft_Large_Weights, Raft_Small_Weights, raft_large, raft_small
from tqdm import tqdm

from mapt_ros.data.pairs import FramePair
from mapt_ros.data.targets import instance_targets
from mapt_ros.errors import InputError, first_line
from mapt_ros.evaluation.costs import count_macs, device_name, milliseconds
from mapt_ros.evaluation.propagation import PropagationQuality
from mapt_ros.model.mapt import MAPT, pad
from mapt_ros.model.motion import MotionHead

FLOWNET2_GMACS = 993.13  # MAPT's table; FlowNet2 costs 993.12 GMACs at the size below, so that is very likely its input
PAPER_SIZE = (1024, 1920)
HEAD = "motion head"
INCLUDED = (
    "motion head: its field from S_{t-1} and S_t (which the semantic head computes anyway), propagate_masks for the tracks,"
    " propagate_features; RAFT: flow from both images (12 updates) and warping of the tracks' masks; FlowNet2: as published"
)
_RAFT = {"RAFT-small": (raft_small, Raft_Small_Weights), "RAFT-large": (raft_large, Raft_Large_Weights)}
_UPDATES = 12  # RAFT's own
_SMALLEST = 128  # RAFT's coarsest correlation map vanishes below
_PATIENCE_S = 20  # for a network that does not answer


@dataclass(frozen=True)
class FlowWarp:
    """Carries masks along a flow as the motion head carries them along its field; ``stride`` as the head's."""

    stride: int

    def propagate_masks(self, flow: Tensor, masks: Tensor) -> Tensor:
        """Reads each cell of soft masks where the flow points to.

        Args:
            flow: 1x2xHxW (dx, dy) in pixels, from the current frame to the previous one.
            masks: Nxhxw in [0, 1], cells of ``stride`` pixels.

        Returns:
            Nxhxw in [0, 1], bilinear, zero outside.
        """
        if len(masks) == 0:
            return masks
        height, width = masks.shape[-2:]
        dx, dy = F.avg_pool2d(flow, self.stride)[0] / self.stride
        y, x = (torch.arange(n, device=masks.device, dtype=masks.dtype) for n in (height, width))
        grid = torch.stack([(2 * (x + dx) + 1) / width - 1, (2 * (y[:, None] + dy) + 1) / height - 1], dim=-1)
        return F.grid_sample(masks[None], grid[None], padding_mode="zeros", align_corners=False)[0]


@dataclass
class _Method:
    """One way to carry masks; ``run`` is one frame's work, ``quality`` None where there are no weights."""

    run: Callable[[], Any]
    gmacs: float
    gmacs_paper_size: float
    milliseconds: list[float] = field(default_factory=list)
    quality: PropagationQuality | None = None
    reason: str | None = None


@torch.inference_mode()
def compare_flow(
    model: MAPT,
    size: tuple[int, int],
    device: torch.device | str = "cpu",
    repeats: int = 5,
    pairs: Iterable[FramePair] | None = None,
    tracks: int = 20,
) -> dict[str, Any]:
    """Measures the motion head, RAFT-small and RAFT-large on the same input in one run.

    Args:
        model: with trained weights if ``pairs`` are given; without them any will do. Is moved to the device.
        size: height and width of the images; the model's input height applies on top, for RAFT too.
        repeats: timed runs of each method, in turns, after one to warm up.
        pairs: frames on which true masks are propagated; without, only costs are measured.
        tracks: masks that each method carries for the costs.

    Returns:
        ``config device size input tracks repeats included paper_size``, and ``methods``: by name (``motion head``,
        ``RAFT-small``, ``RAFT-large``, ``FlowNet2``) ``gmacs`` at the input's size, ``gmacs_paper_size`` at 1024x1920,
        ``ms`` (median), ``gmacs_ratio``, ``gmacs_ratio_paper_size`` and ``ms_ratio`` to the motion head, ``iou`` of
        carried true masks, ``iou_moved`` of those that moved by more than 8 pixels, ``things``, ``things_moved``;
        None where there is nothing to tell, and then ``reason`` is one line.

    Raises:
        InputError: images too small for RAFT, or a pair whose files cannot be read.
    """
    device = torch.device(device)
    model = model.to(device).eval()
    batch = model.prepare([torch.randint(0, 256, (*size, 3), dtype=torch.uint8) for _ in range(2)])
    input_size = tuple(batch.images.shape[-2:])
    if min(input_size) < _SMALLEST:
        raise InputError(
            f"size {size[0]}x{size[1]}: RAFT needs {_SMALLEST}x{_SMALLEST} pixels at least, the input is"
            f" {input_size[0]}x{input_size[1]}"
        )
    methods, flows = {HEAD: _head(model, input_size, tracks, device)}, {}
    for name, (build, weights) in _RAFT.items():
        flow = build().to(device).eval()
        methods[name] = _raft(build, flow, model.motion.stride, input_size, tracks, device)
        if pairs is not None:
            methods[name].reason = _load(flow, weights)
            if methods[name].reason is None:
                flows[name] = flow
    for repeat in tqdm(range(repeats + 1), desc="flow", leave=False, disable=None):
        for method in methods.values():
            elapsed = milliseconds(method.run, device)
            if repeat:
                method.milliseconds.append(elapsed)
    if pairs is not None:
        for name, quality in _propagate(model, flows, pairs).items():
            methods[name].quality = quality
    return {
        "config": model.config.name,
        "device": device_name(device),
        "size": f"{size[0]}x{size[1]}",
        "input": f"{input_size[0]}x{input_size[1]}",
        "tracks": tracks,
        "repeats": repeats,
        "included": INCLUDED,
        "paper_size": f"{PAPER_SIZE[0]}x{PAPER_SIZE[1]}",
        "methods": _rows(methods, measured_pairs=pairs is not None),
    }


def _rows(methods: dict[str, _Method], measured_pairs: bool) -> dict[str, dict[str, Any]]:
    head = methods[HEAD]
    head_ms = median(head.milliseconds)
    rows = {}
    for name, method in methods.items():
        ms = median(method.milliseconds)
        rows[name] = {
            "gmacs": round(method.gmacs, 3),
            "gmacs_paper_size": round(method.gmacs_paper_size, 3),
            "ms": round(ms, 2),
            "gmacs_ratio": round(method.gmacs / head.gmacs, 2),
            "gmacs_ratio_paper_size": round(method.gmacs_paper_size / head.gmacs_paper_size, 2),
            "ms_ratio": round(ms / head_ms, 2),
            **_ious(method.quality),
            "reason": method.reason if measured_pairs else "no pairs of frames were given",
        }
    rows["FlowNet2"] = {
        **dict.fromkeys(rows[HEAD]),
        "gmacs_paper_size": FLOWNET2_GMACS,
        "gmacs_ratio_paper_size": round(FLOWNET2_GMACS / head.gmacs_paper_size, 2),
        "reason": "as published; not run",
    }
    return rows


def _ious(quality: PropagationQuality | None) -> dict[str, float | int | None]:
    if quality is None:
        return dict.fromkeys(("iou", "things", "iou_moved", "things_moved"))
    every, moved = quality.summary(beyond=-1.0), quality.summary()
    return {
        "iou": every["carried_iou"],
        "things": every["things"],
        "iou_moved": moved["carried_iou"],
        "things_moved": moved["things"],
    }


def _head(model: MAPT, size: tuple[int, int], tracks: int, device: torch.device) -> _Method:
    def work(head: MotionHead, size: tuple[int, int], device: torch.device | str) -> Callable[[], Any]:
        cells = [side // head.stride for side in size]
        previous, current = torch.rand(2, 1, model.config.semantic.channels, *cells, device=device)
        masks = torch.rand(tracks, *cells, device=device)

        def run() -> tuple[Tensor, Tensor]:
            motion = head.field(previous, current)
            return head.propagate_masks(motion, masks), head.propagate_features(motion, previous)

        return run

    with torch.device("meta"):  # shapes only, so the paper's size costs no memory
        ghost = MotionHead(model.config.semantic.channels, model.config.motion).eval()
    gmacs = (count_macs(work(ghost, at, "meta")) / 1e9 for at in (size, PAPER_SIZE))
    return _Method(work(model.motion, size, device), *gmacs)


def _raft(build: Callable, raft: nn.Module, stride: int, size: tuple[int, int], tracks: int, device: Any) -> _Method:
    def work(raft: nn.Module, size: tuple[int, int], updates: int, device: Any) -> Callable[[], Any]:
        before, now = torch.rand(2, 1, 3, *size, device=device)
        masks = torch.rand(tracks, *(side // stride for side in size), device=device)
        return lambda: FlowWarp(stride).propagate_masks(raft(now, before, num_flow_updates=updates)[-1], masks)

    def gmacs(at: tuple[int, int]) -> float:
        # Every update costs the same, and torch is slow at counting them.
        one, two = (count_macs(work(ghost, at, updates, "meta")) for updates in (1, 2))
        return (one + (_UPDATES - 1) * (two - one)) / 1e9

    with torch.device("meta"):
        ghost = build().eval()
    return _Method(work(raft, size, _UPDATES, device), gmacs(size), gmacs(PAPER_SIZE))


def _load(raft: nn.Module, weights: Any) -> str | None:
    """Gives RAFT its published weights from torch's hub folder or the network; otherwise the reason why not."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_S)
    try:
        raft.load_state_dict(weights.DEFAULT.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError, http.client.HTTPException, pickle.UnpicklingError, EOFError) as error:
        return f"{weights.DEFAULT.url}: no weights ({first_line(error)})"
    finally:
        socket.setdefaulttimeout(before)
    return None


def _propagate(model: MAPT, flows: dict[str, nn.Module], pairs: Iterable[FramePair]) -> dict[str, PropagationQuality]:
    """How well each method carries the true masks of all pairs."""
    qualities = {name: PropagationQuality() for name in (HEAD, *flows)}
    for pair in pairs:
        images, labels = zip(pair.previous, pair.current, strict=True)
        batch = model.prepare([torch.from_numpy(image) for image in images])
        size, padded = batch.sizes[0], tuple(batch.images.shape[-2:])
        things = [instance_targets(_resized(map_, size), model.config.classes).to(model.device) for map_ in labels]
        semantic = model.motion.to_stride(model.semantic(model.encode(batch.images), batch.images).features)
        motion = model.motion.field(semantic[:1], semantic[1:])
        qualities[HEAD].add(model.motion, motion, *things, size=padded)
        scaled = _scaled(images, size).to(model.device)
        for name, raft in flows.items():
            flow = raft(scaled[1:], scaled[:1], num_flow_updates=_UPDATES)[-1]
            qualities[name].add(FlowWarp(model.motion.stride), flow, *things, size=padded)
    return qualities


def _resized(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An HxW int32 label map at another size, as the network's input is resized."""
    if labels.shape == size:
        return labels
    # 64 bits hold every label exactly.
    return F.interpolate(torch.from_numpy(labels)[None, None].double(), size, mode="nearest-exact")[0, 0].int().numpy()


def _scaled(images: Iterable[np.ndarray], size: tuple[int, int]) -> Tensor:
    """HxWx3 uint8 images as RAFT takes them: Bx3xHxW in [-1, 1], resized and padded as for our network."""
    batch = torch.stack([torch.from_numpy(image) for image in images]).permute(0, 3, 1, 2).float()
    if batch.shape[-2:] != size:
        batch = F.interpolate(batch, size, mode="bilinear", align_corners=False, antialias=True)
    return pad(batch / 127.5 - 1)
