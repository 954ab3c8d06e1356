"""A frame's network on memory of fixed size, so that CUDA graphs can repeat it: a launch a stage, not a thousand a frame.

A graph repeats the same kernels on the same memory, so all that a frame needs lies in buffers of fixed size, and nothing
may depend on how many things are found: ``model.fixed`` finds them in tensors of fixed size.
"""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mapt_ros.model.backbone import STRIDES
from mapt_ros.model.capture import Captured
from mapt_ros.model.fixed import FixedDetections, find
from mapt_ros.model.instance import Detections, InstanceHead
from mapt_ros.model.mapt import MAPT, FrameState
from mapt_ros.model.motion import MotionField

_SIZES = 4  # numbers of cameras and sizes of images whose graphs are kept; each has its own memory


@dataclass(frozen=True)
class Sight:
    """What the network says of a batch, in memory that the next frame of the same size overwrites.

    Attributes:
        semantic_logits: BxKxh'xw'.
        semantic: S_t, BxCxhxw.
        detections: places for them, left over ones included.
        field: the motion field; for a camera without a predecessor it means nothing.
        taps: where it carries masks from, as ``MotionHead.mask_taps``.
        told: BxDx(7+E) float32: box, score, label, whether suppression settled, embedding.
        size: height and width of the images inside the padded input.
        notes: for whoever works on from here and wants to keep something as long as this memory lives.
    """

    semantic_logits: Tensor
    semantic: Tensor
    detections: FixedDetections
    field: MotionField
    taps: tuple[Tensor, Tensor]
    told: Tensor
    size: tuple[int, int]
    notes: dict[str, Any] = field(default_factory=dict)

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
        semantic = model.semantic(pyramid, batch.images)
        current = model.motion.to_stride(semantic.features)
    with clock("instance"):
        pyramid = model.for_things(pyramid, semantic.features)
        found = finder(model.instance, pyramid, batch.sizes, batch.images)
    with clock("motion"):
        moves = model.motion.field(before, current)
        taps = model.motion.mask_taps(moves)
        features = model.motion.propagate_features(moves, before)
    with clock("appearance"):
        masks = [logits.sigmoid() for logits in found.mask_logits]
        embeddings = model.appearance(
            pyramid, batch.sizes, list(found.boxes), masks, features, known, use_propagated
        ).float()
        settled = found.settled[:, None].expand_as(found.scores)
        numbers = [found.scores, found.labels.float(), settled.float()]
        told = torch.cat([found.boxes, torch.stack(numbers, dim=-1), embeddings.view(*found.scores.shape, -1)], dim=-1)
    return Sight(semantic.logits, current, found, moves, taps, told, batch.sizes[0])


class FrameGraphs:
    """Runs ``look``; on CUDA as graphs, captured for each size the first time that it comes.

    Args:
        model: in evaluation mode, on its device.
        dtype: that convolutions and matrix products run in; None = as the weights are.

    Attributes:
        capturing: whether there are graphs; may be switched off and on between frames.
        finder: as ``look`` takes it; to be set before the first frame.
    """

    def __init__(self, model: MAPT, dtype: torch.dtype | None):
        self._model = model
        self._dtype = dtype
        self._places: OrderedDict[tuple, tuple[_Place, Captured[Sight]]] = OrderedDict()
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
                fresh = _Place(model, key, self._dtype)
                self._places[key] = fresh, Captured(model, lambda: fresh.look(model, self.finder))
            self._places.move_to_end(key)
            place, captured = self._places[key]
            with model.clock("copy in"):
                place.fill(images)
            with model.clock("motion"):
                place.remember(previous)
            if not self.capturing:
                return place.look(model, self.finder)
            sight = captured()
            self.capturing = captured.capturing  # what fails once would fail at every size
            return sight


class _Place:
    """The memory of frames of one size."""

    def __init__(self, model: MAPT, key: tuple, dtype: torch.dtype | None):
        cameras, height, width, self._use_propagated = key
        device, config = model.device, model.config
        if config.input_height is not None and height != config.input_height:
            height, width = config.input_height, max(1, round(width * config.input_height / height))
        padded = [length + -length % STRIDES[-1] for length in (height, width)]
        cells = [length // config.motion.stride for length in padded]
        self._pinned = torch.empty(cameras, *key[1:3], 3, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._pictures = torch.zeros_like(self._pinned, device=device)
        before = torch.zeros(cameras, config.semantic.channels, *cells, dtype=dtype or torch.float32, device=device)
        self._before = before.contiguous(memory_format=torch.channels_last)
        self._nothing = torch.zeros_like(self._before[:1])
        self._known = torch.zeros(cameras, device=device)
        self._known_now: list[bool] = [False] * cameras
        self._copied = torch.cuda.Event() if device.type == "cuda" else None

    def fill(self, images: list[np.ndarray]) -> None:
        """Takes the images to the device; out of pinned memory the copy waits for nobody."""
        if self._copied is not None:
            self._copied.synchronize()  # the last copy may have been left behind by a frame that failed
        for pinned, picture, image in zip(self._pinned, self._pictures, images):
            np.copyto(pinned.numpy(), image)
            picture.copy_(pinned, non_blocking=True)  # while the next image is gathered
        if self._copied is not None:
            self._copied.record()

    def remember(self, previous: list[FrameState | None]) -> None:
        """Takes what the last frames left."""
        known = [state is not None for state in previous]
        if known != self._known_now:
            for i, value in enumerate(known):
                self._known[i].fill_(float(value))
            self._known_now = known
        torch.cat([self._nothing if state is None else state.semantic[None] for state in previous], out=self._before)

    def look(self, model: MAPT, finder: Finder) -> Sight:
        """The network on what ``fill`` and ``remember`` left."""
        sight = look(model, self._pictures, self._before, self._known, self._use_propagated, finder)
        # The anchors' own memory holds those of the last size only, but graphs read them where they lie.
        sight.notes["anchors"] = model.instance.rpn.anchor_generator._made
        return sight
