"""Every 3x3 convolution of a network in half precision on CUDA, computed in several ways: which is fastest on this GPU."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mapt_ros.tracking.tracker import PanopticTracker

_REPEATS = 20  # of a convolution in a graph
_LARGEST = 1 << 26  # weights of a grouped convolution written out


@torch.inference_mode()
def compared(tracker: PanopticTracker, height: int, width: int, cameras: int = 1) -> list[list]:
    """Rows: times a frame, microseconds by way, what it is; the costliest first."""
    seen: dict[tuple, tuple[nn.Conv2d, Tensor, int]] = {}

    def note(conv: nn.Conv2d, inputs: tuple[Tensor]) -> None:
        x = inputs[0]
        key = (tuple(x.shape), x.stride(), conv.weight.shape, conv.groups, conv.stride, conv.dilation)
        _, example, times = seen.get(key, (conv, x.clone().to(conv.weight.dtype), 0))
        seen[key] = conv, example, times + 1

    convs = [m for m in tracker.model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    hooks = [conv.register_forward_pre_hook(note) for conv in convs]
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    capturing, tracker.graphs.capturing = tracker.graphs.capturing, False
    try:
        tracker.step([image] * cameras, [tracker.new_state() for _ in range(cameras)], [None] * cameras)
    finally:
        tracker.graphs.capturing = capturing
        for hook in hooks:
            hook.remove()
    rows = []
    for conv, x, times in seen.values():
        spent = {name: _microseconds(run) for name, run in _ways(conv, x).items()}
        layout = (
            "nhwc" if x.is_contiguous(memory_format=torch.channels_last) else "nchw" if x.is_contiguous() else "other"
        )
        what = f"{tuple(x.shape)} {layout} -> {conv.out_channels}, groups {conv.groups}, stride {conv.stride}, dilation {conv.dilation}"
        rows.append([times, spent, what])
    return sorted(rows, key=lambda row: -row[0] * row[1]["as is"] if isinstance(row[1]["as is"], float) else 0.0)


def _ways(conv: nn.Conv2d, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    last, first = torch.channels_last, torch.contiguous_format
    how = conv.stride, conv.padding, conv.dilation
    bias = torch.zeros(conv.out_channels, dtype=x.dtype, device=x.device) if conv.bias is None else conv.bias
    x_first, w_first = x.contiguous(memory_format=first), conv.weight.contiguous(memory_format=first)
    ways = {
        "as is": lambda: F.conv2d(x, conv.weight, bias, *how, conv.groups),
        "as is, no bias": lambda: F.conv2d(x, conv.weight, None, *how, conv.groups),
        "with relu": lambda: torch.cudnn_convolution_relu(x, conv.weight, bias, *how, conv.groups),
        "nchw": lambda: F.conv2d(x_first, w_first, bias, *how, conv.groups),
        "by nchw": lambda: F.conv2d(x.contiguous(memory_format=first), w_first, bias, *how, conv.groups).contiguous(
            memory_format=last
        ),
    }
    if conv.groups > 1 and conv.out_channels * conv.in_channels * 9 <= _LARGEST:
        whole = dense(conv).contiguous(memory_format=last)
        ways["dense"] = lambda: F.conv2d(x, whole, bias, *how)
        ways["dense with relu"] = lambda: torch.cudnn_convolution_relu(x, whole, bias, *how, 1)
    return ways


def dense(conv: nn.Conv2d) -> Tensor:
    """The weights of a grouped convolution as those of one without groups, zero between them."""
    inner, outer = conv.weight.shape[1], conv.out_channels // conv.groups
    whole = conv.weight.new_zeros(conv.out_channels, conv.in_channels, *conv.kernel_size)
    for group in range(conv.groups):
        rows = slice(group * outer, (group + 1) * outer)
        whole[rows, group * inner : (group + 1) * inner] = conv.weight[rows]
    return whole


def _microseconds(run: Callable[[], Tensor]) -> float | str:
    benchmark, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(_REPEATS):
                run()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        graph.replay()
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        return round(start.elapsed_time(end) * 1e3 / _REPEATS, 1)
    except RuntimeError as error:
        return str(error).splitlines()[0][:60]
    finally:
        torch.backends.cudnn.benchmark = benchmark
