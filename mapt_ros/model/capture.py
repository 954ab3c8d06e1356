"""Work on tensors that stay where they are, done again and again by CUDA graphs: one launch instead of hundreds."""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Generic, TypeVar

import torch

from mapt_ros.errors import first_line
from mapt_ros.model.clock import untimed
from mapt_ros.model.mapt import MAPT

_WARM_UP = 3  # rounds in which libraries choose their algorithms and lay out their workspaces
_log = logging.getLogger(__name__)
T = TypeVar("T")


class Captured(Generic[T]):
    """A piece of work of a frame; on CUDA as graphs, captured the first time, one for every piece of a stage.

    If the capture fails, this piece runs kernel by kernel from then on, and the log says so once.

    Args:
        model: whose clock is told of the stages; all of the work happens inside of them.
        work: takes what it needs from where it always lies; its outcome is overwritten the next time.
        capturing: False leaves it at running kernel by kernel.

    Attributes:
        capturing: whether there are graphs, or will be.
    """

    def __init__(self, model: MAPT, work: Callable[[], T], capturing: bool = True):
        self.capturing = capturing and model.device.type == "cuda"
        self._model, self._work = model, work
        self._stages: list[tuple[str, torch.cuda.CUDAGraph]] = []
        self._outcome: T | None = None

    def __call__(self) -> T:
        device = self._model.device
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            if self.capturing and not self._stages:
                try:
                    self._capture()
                except RuntimeError as error:
                    self.capturing, self._stages, self._outcome = False, [], None
                    _log.warning("CUDA graphs are off, frames will take longer: %s", first_line(error))
            if not self.capturing:
                return self._work()
            for stage, graph in self._stages:
                with self._model.clock(stage):
                    graph.replay()
            return self._outcome

    def _capture(self) -> None:
        """Records the work stage by stage, after some rounds to warm up."""
        model, recorder = self._model, _Recorder()
        clock, benchmark = model.clock, torch.backends.cudnn.benchmark
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        try:
            model.clock = untimed
            torch.backends.cudnn.benchmark = True  # sizes stay, so the fastest algorithm is worth looking for
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    self._work()
            torch.cuda.synchronize()
            gc.collect()
            torch.cuda.empty_cache()
            model.clock = recorder
            with torch.cuda.stream(stream):
                self._outcome = self._work()
        finally:
            model.clock, torch.backends.cudnn.benchmark = clock, benchmark
            torch.cuda.current_stream().wait_stream(stream)
        self._stages = recorder.stages


class _Recorder:
    """A ``Clock`` under which every piece of a stage becomes a graph instead of being done."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, torch.cuda.CUDAGraph]] = []
        self._pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        graph = torch.cuda.CUDAGraph()
        # Other threads, those of the node, may use the device meanwhile.
        graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
        try:
            yield
        except BaseException:
            with suppress(RuntimeError):  # the first error says what was wrong
                graph.capture_end()
            raise
        graph.capture_end()
        self.stages.append((stage, graph))
