"""The tracker: images in, panoptic frames with persistent identities out; all memory in one explicit state a camera."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mapt_ros.errors import InputError, validated
from mapt_ros.model.checkpoint import file_hash, find_weights, load_checkpoint
from mapt_ros.model.graphs import FrameGraphs
from mapt_ros.model.inference import cast_weights, fold_batch_norm, warn_of_emulation
from mapt_ros.model.instance import Detections
from mapt_ros.model.mapt import MAPT, FrameState, Prediction
from mapt_ros.tracking import batch
from mapt_ros.tracking.association import mask_overlap
from mapt_ros.tracking.config import MaptConfig, TrackerConfig, load_config
from mapt_ros.tracking.frame import PanopticFrame
from mapt_ros.tracking.identities import identify
from mapt_ros.tracking.memory import Observation
from mapt_ros.tracking.panoptic import Fusion, fuse, paint, regions, upsampled, without_doubtful
from mapt_ros.tracking.state import TrackerState

_MAX_ASPECT = 32
PRECISIONS = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}


class PanopticTracker:
    """Panoptic tracking with one network and one state a camera.

    Calling the object tracks one camera with a state of its own; ``step`` serves several cameras in one batch.

    Args:
        model: in evaluation mode, on its device.
        settings: None takes the defaults; may be replaced between frames.
        weights_name, weights_hash: for the record.
        precision: of the network's convolutions and matrix products, ``fp32``, ``fp16`` or ``bf16``. Boxes, scores,
            fusion and association are in single precision always.

        graphs: whether a frame runs in tensors of fixed size, on CUDA as CUDA graphs. None = on CUDA, where that saves most
            of the time. The weights of the model are then cast to the precision, once and in place.

    Raises:
        InputError: a precision that is none, or one that the model's device does not have.
    """

    def __init__(
        self,
        model: MAPT,
        settings: TrackerConfig | None = None,
        weights_name: str = "",
        weights_hash: str = "",
        precision: str = "fp32",
        graphs: bool | None = None,
    ):
        if precision not in PRECISIONS or (precision == "fp16" and model.device.type == "cpu"):
            raise InputError(f"precision {precision!r}: expected fp32, bf16 or, on CUDA, fp16")
        warn_of_emulation(precision, model.device)
        self.precision = precision
        self.model = model.eval()
        on_cuda, dtype = model.device.type == "cuda", PRECISIONS[precision]
        self.graphs = None
        if graphs or (graphs is None and on_cuda):
            if on_cuda and dtype is not None:
                cast_weights(model, dtype)
            self.graphs = FrameGraphs(model, dtype)
        self.classes = model.config.classes
        self.settings = settings or TrackerConfig()
        self.weights_name = weights_name
        self.weights_hash = weights_hash
        self.state = self.new_state()

    @classmethod
    def load(
        cls,
        weights: str | Path = "compact",
        *,
        device: str = "auto",
        config: str | Path | MaptConfig | None = None,
        precision: str = "fp32",
        graphs: bool | None = None,
        **settings,
    ) -> "PanopticTracker":
        """A tracker from a checkpoint, its network prepared for running.

        Args:
            weights: the name of bundled (or cached) weights, or a ``.safetensors`` file.
            device: ``auto`` (CUDA if there is one), ``cpu``, ``cuda`` or ``cuda:N``.
            config: a config (file, bundled name or object) that the weights must fit; its tracker section is used.
                None takes both sections from the checkpoint's header.
            precision, graphs: as the constructor takes them.
            **settings: single settings of ``TrackerConfig`` that override the rest.

        Raises:
            InputError: weights missing, damaged or of another config; unknown device or precision; a wrong setting.
        """
        target = pick_device(device)
        path = find_weights(weights)
        wanted = load_config(config) if isinstance(config, (str, Path)) else config
        model, header = load_checkpoint(path, wanted.model if wanted else None)
        base = wanted.tracker.model_dump() if wanted else header.tracker
        chosen = validated(TrackerConfig, base | settings, f"tracker settings for {path}")
        return cls(fold_batch_norm(model).to(target), chosen, path.stem, file_hash(path), precision, graphs)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def new_state(self) -> TrackerState:
        """A state for one more camera."""
        return TrackerState()

    def reset(self) -> None:
        """Forgets the tracks of the tracker's own state; the next epoch begins."""
        self.state.reset()

    def warm_up(self, height: int, width: int, cameras: int = 1) -> None:
        """Does once what the first frames of a size would otherwise pay for, and remembers nothing of it.

        On CUDA libraries choose their algorithms and graphs are captured, which takes seconds; on a CPU a frame or two.

        Args:
            height, width: of the images to come, in pixels.
            cameras: images that will come together.

        Raises:
            InputError: a size that no image may have.
        """
        images = [np.zeros((height, width, 3), dtype=np.uint8)] * cameras
        states = [self.new_state() for _ in images]
        for _ in range(2):  # the second has a predecessor
            self.step(images, states, [None] * cameras)

    def __call__(self, image_rgb: np.ndarray, stamp_ns: int | None = None) -> PanopticFrame:
        """Tracks the next image of one camera.

        Args:
            image_rgb: HxWx3 uint8 RGB.
            stamp_ns: its time; velocities need it.
        """
        return self.step([image_rgb], [self.state], [stamp_ns])[0]

    def step(
        self, images: Sequence[np.ndarray], states: Sequence[TrackerState], stamps_ns: Sequence[int | None]
    ) -> list[PanopticFrame]:
        """Tracks one image of each of several cameras; images of one size run as one batch.

        Args:
            images: HxWx3 uint8 RGB each.
            states: one a camera, updated in place. If anything fails, no state has changed.
            stamps_ns: one an image, or None.

        Raises:
            InputError: an image of another type or shape; lists of different length; one state given twice.
        """
        if not len(images) == len(states) == len(stamps_ns) or len({id(state) for state in states}) != len(states):
            raise InputError("step: expected one image, one stamp and one state of its own for each camera")
        for image in images:
            _check_image(image)
        outcomes: list[tuple[PanopticFrame, TrackerState] | None] = [None] * len(images)
        for size in dict.fromkeys(image.shape[:2] for image in images):
            members = [i for i, image in enumerate(images) if image.shape[:2] == size]
            starts = [_for_size(states[i], size) for i in members]
            for i, outcome in zip(
                members, self._batch([images[i] for i in members], starts, [stamps_ns[i] for i in members])
            ):
                outcomes[i] = outcome
        for state, (_, after) in zip(states, outcomes):
            state.__dict__.update(after.__dict__)
        return [frame for frame, _ in outcomes]

    @torch.inference_mode()
    def _batch(
        self, images: list[np.ndarray], states: list[TrackerState], stamps_ns: list[int | None]
    ) -> list[tuple[PanopticFrame, TrackerState]]:
        settings = self.settings  # one and the same for the whole frame, whoever replaces them meanwhile
        if self.graphs is not None:
            outcomes = batch.step(self.model, self.graphs, images, states, stamps_ns, settings)
            if outcomes is not None:
                return outcomes
        inputs = self.model.prepare([torch.from_numpy(np.ascontiguousarray(image)) for image in images])
        previous = [state.previous for state in states]
        dtype = PRECISIONS[self.precision]
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            predictions = self.model(inputs, previous, settings.use_propagated_features, settings.score_threshold)
        return [
            self.track(prediction, image.shape[:2], state, stamp_ns, settings)
            for prediction, image, state, stamp_ns in zip(predictions, images, states, stamps_ns)
        ]

    def track(
        self,
        prediction: Prediction,
        size: tuple[int, int],
        state: TrackerState,
        stamp_ns: int | None,
        settings: TrackerConfig,
        fusion: Fusion | None = None,
    ) -> tuple[PanopticFrame, TrackerState]:
        """From the network's words on one image to its panoptic frame and the camera's next state.

        Args:
            size: height and width of the image, which the network may have seen at another size.
            state: stays as it is.
            settings: instead of the tracker's own.
            fusion: what ``fuse`` made of the prediction, where that is known already.
        """
        clock = self.model.clock
        with clock("fusion"):
            fusion = fusion or self.fuse(prediction, size, settings)
            masks = owner_masks(fusion, prediction, self.model.motion.stride)
        propagated = prediction.propagated_masks
        if propagated is None:
            propagated = masks.new_zeros(len(state.tracks), *masks.shape[1:])
        with clock("copy out"):
            owner, stuff = fusion.owner.cpu().numpy(), fusion.stuff.cpu().numpy()
            observations = self._observe(prediction, fusion, owner)
            overlapping = [m.float().flatten(1).cpu().numpy() for m in (propagated, masks)]
        with clock("association"):
            overlap = mask_overlap(*overlapping) if state.tracks and observations else None
            identified = identify(state.tracks, observations, overlap, state.next_id, stamp_ns, settings)
            outcome = identified.update

        sources = {"seen": masks, "carried": propagated}
        kept_masks = [sources[kind][position] for kind, position in outcome.source]
        with clock("copy out"):
            painted = paint(owner, stuff, identified.labels)
        frame = PanopticFrame(painted, identified.instances, stamp_ns, state.sequence, state.epoch)
        after = replace(
            state,
            sequence=state.sequence + 1,
            tracks=outcome.tracks,
            next_id=outcome.next_id,
            previous=FrameState(prediction.semantic, torch.stack(kept_masks) if kept_masks else masks[:0]),
            size=size,
        )
        return frame, after

    def fuse(self, prediction: Prediction, size: tuple[int, int], settings: TrackerConfig) -> Fusion:
        """The panoptic fusion at the size of the image; embeddings and propagated masks have no part in it."""
        stride, logits = self.model.semantic.logit_stride, prediction.semantic_logits
        if settings.min_stuff_iou:
            logits = without_doubtful(logits[None], self.classes, settings.min_stuff_iou, prediction.size, stride)[0]
            prediction = replace(prediction, semantic_logits=logits)
        return fuse(*to_image(prediction, size, stride), self.classes, settings)

    def _observe(self, prediction: Prediction, fusion: Fusion, owner: np.ndarray) -> list[Observation]:
        things = self.classes.things
        detections = prediction.detections.select(torch.tensor(fusion.kept, dtype=torch.int64, device=self.device))
        return [
            Observation(things[label - 1].id, score, embedding, region)
            for label, score, embedding, region in zip(
                detections.labels.tolist(),
                detections.scores.tolist(),
                detections.embeddings.float().cpu().numpy(),
                regions(owner, len(fusion.kept)),
            )
        ]


def pick_device(name: str) -> torch.device:
    """``auto`` -> CUDA where there is one, else the CPU; any other name as torch understands it.

    Raises:
        InputError: an unknown name, or CUDA where there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name!r}: expected auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name!r}: expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices; use cpu or auto")
    return device


def to_image(prediction: Prediction, size: tuple[int, int], stride: int) -> tuple[Tensor, Detections]:
    """Semantic logits (KxHxW) and detections of a prediction, at the size of the image they came from.

    Args:
        stride: of the logits, in pixels of the network's input.
    """
    logits, detections = upsampled(prediction.semantic_logits, size, prediction.size, stride), prediction.detections
    scales = [side / inner for side, inner in zip(size, prediction.size)]
    if scales != [1.0, 1.0]:
        detections = replace(detections, boxes=detections.boxes * detections.boxes.new_tensor(scales[::-1] * 2))
    return logits, detections


def owner_masks(fusion: Fusion, prediction: Prediction, stride: int) -> Tensor:
    """M_t: each instance's pixels after fusion as the share of every cell they fill, Nxhxw in [0, 1]."""
    height, width = prediction.size
    rows, columns = prediction.semantic.shape[-2:]
    owner = fusion.owner
    if owner.shape != (height, width):
        owner = F.interpolate(owner[None, None].float(), size=(height, width), mode="nearest")[0, 0].int()
    # Counted pixel by pixel, so that it costs the same for one instance and for a hundred.
    down, across = (torch.arange(n, device=owner.device, dtype=torch.int32) // stride for n in (height, width))
    cells = (owner.int() + 1) * (rows * columns) + (down * columns)[:, None] + across
    counts = torch.bincount(cells.flatten(), minlength=(len(fusion.kept) + 1) * rows * columns)
    return counts.view(-1, rows, columns)[1:].float() / stride**2


def _for_size(state: TrackerState, size: tuple[int, int]) -> TrackerState:
    """The state as an image of this size may use it: without a predecessor if the last image had another size.

    The tracks live on through their embeddings.
    """
    return state if state.size in (None, tuple(size)) else replace(state, previous=None)


def _check_image(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"image: got {found}, expected HxWx3 uint8 RGB")
    height, width = image.shape[:2]
    if min(height, width) < 1:
        raise InputError(f"image: {width}x{height} pixels; expected at least 1x1")
    if max(height, width) > _MAX_ASPECT * min(height, width):  # resized to the input height it would fill the memory
        raise InputError(f"image: {width}x{height} pixels; expected sides of at most {_MAX_ASPECT} to 1")
