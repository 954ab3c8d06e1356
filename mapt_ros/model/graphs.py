"""A frame's network as CUDA graphs: one launch a stage instead of a thousand a frame.

A graph repeats the same kernels on the same memory, so all that a frame needs lies in buffers of fixed size, and nothing
may depend on how many things are found: ``model.fixed`` finds them in tensors of fixed size.
"""

import gc
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mapt_ros.errors import first_line
from mapt_ros.model.backbone import STRIDES
from mapt_ros.model.clock import Clock, untimed
from mapt_ros.model.fixed import FixedDetections, find
from mapt_ros.model.instance import Detections, InstanceHead
from mapt_ros.model.mapt import MAPT, FrameState
from mapt_ros.model.motion import MotionField

_SIZES = 4  # numbers of cameras and sizes of images whose graphs are kept; each has its own memory
_WARM_UP = 3  # frames in which libraries choose their algorithms and lay out their workspaces
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sight:
    """What the network says of a batch, in memory that the next frame of the same size overwrites.

    Attributes:
        semantic_logits: BxKxh'xw'.
        semantic: S_t, BxCxhxw.
        detections: places for them, left over ones included.
        field: the motion field; for a camera without a predecessor it means nothing.
        told: BxDx(7+E) float32: box, score, label, whether suppression settled, embedding.
        size: height and width of the images inside the padded input.
    """

    semantic_logits: Tensor
    semantic: Tensor
    detections: FixedDetections
    field: MotionField
    told: Tensor
    size: tuple[int, int]

    def detections_of(self, image: int, told: np.ndarray, least_score: float) -> Detections:
        """The detections of one image from ``least_score`` on, as the rest of the tracker takes them.

        Args:
            told: of that image, on the host.
        """
        count = int(np.count_nonzero((told[:, 4] >= least_score) & (told[:, 4] >= 0)))
        found = self.detections
        return Detections(
            found.boxes[image, :count],
            found.scores[image, :count],
            found.labels[image, :count],
            found.mask_logits[image, :count],
            self.told[image, :count, 7:],
        )


Finder = Callable[[InstanceHead, dict[str, Tensor], list[tuple[int, int]], Tensor], FixedDetections]


def look(
    model: MAPT, pictures: Tensor, before: Tensor, known: Tensor, use_propagated: bool, finder: Finder = find
) -> Sight:
    """The whole network on one image of every camera, in tensors whose sizes the images' size alone decides.

    All work happens inside the stages of the model's clock.

    Args:
        pictures: BxHxWx3 uint8 RGB on the network's device.
        before: S_{t-1}, BxCxhxw; anything finite for a camera without a predecessor.
        known: B float, 1 for a camera with a predecessor, else 0.
        use_propagated: as ``MAPT.forward`` takes it.
        finder: finds the things; a benchmark may put one between.
    """
    clock = model.clock
    with clock("copy in"):
        batch = model.as_input(pictures)
    pyramid = model.encode(batch.images)
    with clock("semantic"):
        semantic = model.semantic(pyramid)
        current = model.motion.to_stride(semantic.features)
    with clock("instance"):
        found = finder(model.instance, pyramid, batch.sizes, batch.images)
    with clock("motion"):
        field = model.motion.field(before, current)
        features = model.motion.propagate_features(field, before)
    with clock("appearance"):
        masks = [logits.sigmoid() for logits in found.mask_logits]
        embeddings = model.appearance(
            pyramid, batch.sizes, list(found.boxes), masks, features, known, use_propagated
        ).float()
        settled = found.settled[:, None].expand_as(found.scores)
        numbers = [found.scores, found.labels.float(), settled.float()]
        told = torch.cat([found.boxes, torch.stack(numbers, dim=-1), embeddings.view(*found.scores.shape, -1)], dim=-1)
    return Sight(semantic.logits, current, found, field, told, batch.sizes[0])


class FrameGraphs:
    """Runs ``look``; on CUDA as graphs, captured for each size the first time that it comes.

    If a capture fails, this and all later frames run kernel by kernel, and the log says so once.

    Args:
        model: in evaluation mode, on its device.
        dtype: that convolutions and matrix products run in; None = as the weights are.

    Attributes:
        capturing: whether there are graphs.
        finder: as ``look`` takes it; to be set before the first frame.
    """

    def __init__(self, model: MAPT, dtype: torch.dtype | None):
        self._model = model
        self._dtype = dtype
        self._places: OrderedDict[tuple, _Place] = OrderedDict()
        self.capturing = model.device.type == "cuda"
        self.finder: Finder = find

    @torch.inference_mode()
    def __call__(self, images: list[np.ndarray], previous: list[FrameState | None], use_propagated: bool) -> Sight:
        """One frame of every camera.

        Args:
            images: HxWx3 uint8 RGB, all of one size.
            previous: what each camera's last frame left.
            use_propagated: False leaves the propagated features out of the embeddings.

        Returns:
            The outcome; the next call overwrites it.
        """
        model, device = self._model, self._model.device
        key = (len(images), *images[0].shape[:2], use_propagated)
        on_device = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
        mixed = torch.autocast(device.type, dtype=self._dtype, enabled=self._dtype is not None, cache_enabled=False)
        with on_device, mixed:
            if key not in self._places:
                while len(self._places) >= _SIZES:
                    self._places.popitem(last=False)
                self._places[key] = _Place(model, key, self._dtype, self.finder)
            self._places.move_to_end(key)
            place = self._places[key]
            with model.clock("copy in"):
                place.fill(images)
            with model.clock("motion"):
                place.remember(previous)
            if self.capturing and place.sight is None:
                try:
                    place.capture(model)
                except RuntimeError as error:
                    self.capturing, place.sight = False, None
                    _log.warning("CUDA graphs are off, frames will take longer: %s", first_line(error))
            if place.sight is not None and self.capturing:
                return place.replay(model.clock)
            return place.look(model)


class _Place:
    """The memory of frames of one size, and their graphs."""

    def __init__(self, model: MAPT, key: tuple, dtype: torch.dtype | None, finder: Finder):
        self._finder = finder
        cameras, height, width, self._use_propagated = key
        device, config = model.device, model.config
        if config.input_height is not None and height != config.input_height:
            height, width = config.input_height, max(1, round(width * config.input_height / height))
        padded = [length + -length % STRIDES[-1] for length in (height, width)]
        cells = [length // config.motion.stride for length in padded]
        self._pinned = torch.empty(cameras, *key[1:3], 3, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._pictures = torch.zeros_like(self._pinned, device=device)
        self._before = torch.zeros(
            cameras, config.semantic.channels, *cells, dtype=dtype or torch.float32, device=device
        )
        self._before = self._before.contiguous(memory_format=torch.channels_last)
        self._known = torch.zeros(cameras, device=device)
        self._copied = torch.cuda.Event() if device.type == "cuda" else None
        self._stages: list[tuple[str, torch.cuda.CUDAGraph]] = []
        self._kept: tuple = ()
        self.sight: Sight | None = None

    def fill(self, images: list[np.ndarray]) -> None:
        """Takes the images to the device; out of pinned memory the copy waits for nobody."""
        if self._copied is not None:
            self._copied.synchronize()  # the last copy may have been left behind by a frame that failed
        for row, image in zip(self._pinned.numpy(), images):
            np.copyto(row, image)
        self._pictures.copy_(self._pinned, non_blocking=True)
        if self._copied is not None:
            self._copied.record()

    def remember(self, previous: list[FrameState | None]) -> None:
        """Takes what the last frames left."""
        for i, state in enumerate(previous):
            self._known[i].fill_(float(state is not None))
            if state is None:
                self._before[i].zero_()
            else:
                self._before[i].copy_(state.semantic)

    def look(self, model: MAPT) -> Sight:
        return look(model, self._pictures, self._before, self._known, self._use_propagated, self._finder)

    def capture(self, model: MAPT) -> None:
        """Records ``look`` stage by stage, after some frames to warm up."""
        clock, benchmark = model.clock, torch.backends.cudnn.benchmark
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        recorder = _Recorder()
        try:
            model.clock = untimed
            torch.backends.cudnn.benchmark = True  # sizes stay, so the fastest algorithm is worth looking for
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    self.look(model)
            torch.cuda.synchronize()
            gc.collect()
            torch.cuda.empty_cache()
            model.clock = recorder
            with torch.cuda.stream(stream):
                self.sight = self.look(model)
        finally:
            model.clock, torch.backends.cudnn.benchmark = clock, benchmark
            torch.cuda.current_stream().wait_stream(stream)
        self._stages = recorder.stages
        # The anchors' own memory holds those of the last size only, but the graphs read them where they lie.
        self._kept = (model.instance.rpn.anchor_generator._made,)

    def replay(self, clock: Clock) -> Sight:
        """Runs the graphs on what ``fill`` and ``remember`` left."""
        for stage, graph in self._stages:
            with clock(stage):
                graph.replay()
        return self.sight


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
