"""What work costs: time by stages on any device, multiply-accumulates, memory traffic, and what the machine could do."""

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

_aten = torch.ops.aten


class StageTimer:
    """A ``Clock`` that measures: milliseconds of every stage, frame by frame.

    On a GPU the device's own events are read, so that no stage waits for another to be measured.

    Attributes:
        frames: milliseconds of each stage, a frame each.
        cpu_frames: the same in time of all CPU threads, which other programs on the machine disturb less.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._pieces: list[tuple[str, Any, Any, float]] = []
        self.frames: list[dict[str, float]] = []
        self.cpu_frames: list[dict[str, float]] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measures a piece of a stage."""
        start, cpu = self._now(), time.process_time()
        yield
        self._pieces.append((stage, start, self._now(), time.process_time() - cpu))

    def end_frame(self) -> None:
        """Sums the pieces of a frame up; on a GPU, waits for it."""
        if self._cuda:
            torch.cuda.synchronize()
        spent: dict[str, float] = defaultdict(float)
        cpu_spent: dict[str, float] = defaultdict(float)
        for stage, start, end, cpu in self._pieces:
            spent[stage] += start.elapsed_time(end) if self._cuda else (end - start) * 1e3
            cpu_spent[stage] += cpu * 1e3
        self.frames.append(dict(spent))
        self.cpu_frames.append(dict(cpu_spent))
        self._pieces.clear()

    def _now(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


@dataclass
class StageCounter:
    """A ``Clock`` that counts: multiply-accumulates and bytes of every stage."""

    macs: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    bytes: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Counts a piece of a stage."""
        flops, traffic = flop_counter(), TrafficCounter()
        with flops, traffic:
            yield
        self.macs[stage] += flops.get_total_flops() // 2
        self.bytes[stage] += traffic.bytes


class TrafficCounter(TorchDispatchMode):
    """Bytes that operations read and write, each tensor once an operation.

    Views are free, and so is what works element by element, for it can ride along with the operation before it. What
    is left is what the machine's memory has to bear if nothing else is joined and no cache helps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outcome = func(*args, **(kwargs or {}))
        if not (func.is_view or torch.Tag.pointwise in func.tags or func in _FREE):
            # A broadcast tensor is as large as what it is broadcast from.
            tensors = [t for t in tree_leaves((args, kwargs, outcome)) if isinstance(t, Tensor)]
            self.bytes += sum(
                min(t.numel(), t.untyped_storage().size() // t.element_size()) * t.element_size() for t in tensors
            )
        return outcome


_FREE = (_aten.empty.memory_format, _aten.empty_strided.default, _aten.empty_like.default, _aten._to_copy.default)


def count_macs(run: Callable[[], Any]) -> int:
    """Multiply-accumulates of a call: torch's FlopCounterMode, halved, with bilinear and weighted reads counted too."""
    with flop_counter() as counter:
        run()
    return counter.get_total_flops() // 2


def flop_counter() -> FlopCounterMode:
    """torch's counter, which knows convolutions and matrix products, taught sampling and products with a ReLU."""
    taught = {
        _aten._addmm_activation: _addmm_activation_flops,
        _aten.grid_sampler_2d: _grid_sample_flops,
        _aten._embedding_bag: _embedding_bag_flops,
        _aten._embedding_bag_forward_only: _embedding_bag_flops,
    }
    return FlopCounterMode(display=False, custom_mapping=taught)


def _grid_sample_flops(values, grid, *args, out_shape=None, **kwargs) -> int:
    """FLOPs (2 a MAC) of bilinear ``grid_sample`` from its arguments' shapes: 4 MACs a place and channel."""
    batch, channels = values[:2]
    return 2 * 4 * batch * channels * grid[1] * grid[2]


def _addmm_activation_flops(bias, left, right, *args, out_shape=None, **kwargs) -> int:
    """FLOPs (2 a MAC) of a matrix product."""
    return 2 * left[0] * left[1] * right[1]


def _embedding_bag_flops(table, places, *args, out_shape=None, **kwargs) -> int:
    """FLOPs of a weighted sum of a table's rows: a MAC for every row read and channel."""
    return 2 * places[0] * table[1]


@dataclass(frozen=True)
class Limits:
    """What a machine reaches when nothing holds it up: GMAC/s of a matrix product, GB/s of a copy."""

    gmacs_per_s: float
    gbytes_per_s: float

    def floor_ms(self, macs: int, traffic: int) -> float:
        """The least time for so many multiply-accumulates and bytes."""
        return max(macs / self.gmacs_per_s, traffic / self.gbytes_per_s) * 1e-6


def machine_limits(device: torch.device, dtype: torch.dtype = torch.float32) -> Limits:
    """Measures both limits with the threads and the precision that the network runs with; the best of several."""
    side, numbers = (1024, 1 << 24) if device.type == "cpu" else (8192, 1 << 28)
    left, right = torch.rand(2, side, side, device=device, dtype=dtype)
    source = torch.rand(numbers, device=device)
    target = torch.empty_like(source)
    product = min(milliseconds(lambda: left @ right, device) for _ in range(6))
    copied = min(milliseconds(lambda: target.copy_(source), device) for _ in range(6))
    return Limits(side**3 / product * 1e-6, 2 * 4 * numbers / copied * 1e-6)


def milliseconds(run: Callable[[], Any], device: torch.device) -> float:
    """Wall time of one call, the device's work included."""
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) * 1e3


def peak_megabytes(device: torch.device) -> float:
    """The most memory so far: of the process, or of the GPU since its statistics were reset."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def device_name(device: torch.device) -> str:
    """What timings were taken on: the GPU's name, or the number of CPU threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
