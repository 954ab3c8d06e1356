"""The node's parameters: names, types, ranges, and which of them may change while it runs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, get_args

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from mapt_ros.errors import InputError
from mapt_ros.ros.diagnostics import Thresholds
from mapt_ros.tracking.config import AssociationMode, TrackerConfig

_SECOND = 1_000_000_000


@dataclass(frozen=True)
class _Spec:
    """One parameter: its default, or its type where the model's config has the default."""

    name: str
    default: Any
    description: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()


def _tracking(name: str, kind: Parameter.Type, **limits) -> _Spec:
    text = TrackerConfig.model_fields[name].description
    return _Spec(name, kind, f"{text} Unset: as the config of the weights says.", **limits)


_SPECS = (
    _Spec("weights", "compact", "A bundled checkpoint's name, or the path of a .safetensors file."),
    _Spec("config", "", "Path of the model's YAML config; empty: the one the weights were saved with."),
    _Spec("device", "auto", "auto, cpu, cuda or cuda:N."),
    _Spec("cpu_fallback", False, "Go on tracking on the CPU when CUDA fails for good; otherwise the node deactivates."),
    _Spec(
        "cameras",
        [""],
        "Names of the cameras, which prefix their topics (front/image, ~/front/panoptic); one empty name: no prefix.",
    ),
    _Spec("image_transport", "raw", "What the image topic carries.", choices=("raw", "compressed")),
    _Spec(
        "drop_policy",
        "newest",
        "newest: a newer image replaces the one that waits. none: reliable, with a queue, for replays.",
        choices=("newest", "none"),
    ),
    _Spec("queue_depth", 10, "Images that may wait per camera with drop_policy none.", (2, 1000)),
    _tracking("score_threshold", Parameter.Type.DOUBLE, limits=(0.0, 1.0)),
    _tracking("association", Parameter.Type.STRING, choices=get_args(AssociationMode)),
    _tracking("max_age", Parameter.Type.INTEGER, limits=(0, 100_000)),
    _tracking("publish_lost", Parameter.Type.BOOL),
    _Spec("max_gap_s", 2.0, "A camera silent for longer than this starts anew, in seconds.", (0.01, 86_400.0)),
    _Spec("back_jump_s", 0.5, "A stamp further back than this is a new replay, in seconds.", (0.0, 86_400.0)),
    _Spec("camera_height", 1.65, "Height of the camera above the ground, in metres, for the markers.", (0.05, 100.0)),
    _Spec("camera_pitch", 0.0, "How far the camera looks down, in radians, for the markers.", (-1.5, 1.5)),
    _Spec("overlay", True, "Whether the overlay is drawn for those who listen to it."),
    _Spec("overlay_scale", 1.0, "Size of the overlay relative to the image.", (0.05, 4.0)),
    _Spec("input_timeout_s", 2.0, "A camera silent for longer than this is an error, in seconds.", (0.1, 86_400.0)),
    _Spec("warn_rate_hz", 0.0, "Fewer frames a second are a warning in the diagnostics; 0: never.", (0.0, 1000.0)),
    _Spec("error_rate_hz", 0.0, "Fewer frames a second are an error in the diagnostics; 0: never.", (0.0, 1000.0)),
    _Spec("warn_latency_ms", 0.0, "A higher 95th percentile of the latency is a warning; 0: never.", (0.0, 1e6)),
    _Spec("error_latency_ms", 0.0, "A higher 95th percentile of the latency is an error; 0: never.", (0.0, 1e6)),
    _Spec("autostart", True, "Whether the node configures and activates itself."),
)
_BY_NAME = {spec.name: spec for spec in _SPECS}

TRACKER_SETTINGS = ("score_threshold", "association", "max_age", "publish_lost")


@dataclass(frozen=True)
class LiveSettings(Thresholds):
    """What changes while the node runs and is not the tracker's.

    Attributes:
        overlay: whether it is drawn at all.
        overlay_scale: its size relative to the image.
    """

    overlay: bool = True
    overlay_scale: float = 1.0


LIVE_SETTINGS = tuple(field.name for field in fields(LiveSettings))
CHANGEABLE = (*TRACKER_SETTINGS, *LIVE_SETTINGS)


@dataclass(frozen=True)
class NodeParameters:
    """The parameters as they were when the node was configured.

    Attributes:
        config: None: the one in the weights.
        cameras: names, in the order of the batch; ("",) for a single camera without a prefix.
        max_gap_ns, back_jump_ns: in nanoseconds.
        camera_height: in metres.
        camera_pitch: in radians, positive looks down.
        live: as they were then; the channels have the current ones.
        tracker_settings: those fields of TrackerConfig that the user set; the weights' config has the others.
    """

    weights: str
    config: str | None
    device: str
    cpu_fallback: bool
    cameras: tuple[str, ...]
    image_transport: str
    drop_policy: str
    queue_depth: int
    max_gap_ns: int
    back_jump_ns: int
    camera_height: float
    camera_pitch: float
    live: LiveSettings
    tracker_settings: dict[str, Any]


def declare_parameters(node: Node) -> None:
    """Declares all parameters with their descriptors, taking over the overrides the node was started with.

    Raises:
        rclpy.exceptions.ParameterException: an override of the wrong type or out of range.
        InputError: an override that is none of the choices.
    """
    for spec in _SPECS:
        descriptor = ParameterDescriptor(description=spec.description)
        if spec.choices:
            descriptor.additional_constraints = f"one of: {', '.join(spec.choices)}"
        if spec.limits and isinstance(spec.limits[0], int):
            descriptor.integer_range = [IntegerRange(from_value=spec.limits[0], to_value=spec.limits[1])]
        elif spec.limits:
            descriptor.floating_point_range = [FloatingPointRange(from_value=spec.limits[0], to_value=spec.limits[1])]
        parameter = node.declare_parameter(spec.name, spec.default, descriptor)
        if parameter.value is not None and (reason := why_invalid(spec.name, parameter.value)):
            raise InputError(reason)


def read_parameters(node: Node, *, from_config: Iterable[str]) -> NodeParameters:
    """The current values; tracker settings named in ``from_config`` are left to the weights' config."""
    value = {name: node.get_parameter_or(name).value for name in _BY_NAME}
    return NodeParameters(
        weights=value["weights"],
        config=value["config"] or None,
        device=value["device"],
        cpu_fallback=value["cpu_fallback"],
        cameras=tuple(value["cameras"]),
        image_transport=value["image_transport"],
        drop_policy=value["drop_policy"],
        queue_depth=value["queue_depth"],
        max_gap_ns=round(value["max_gap_s"] * _SECOND),
        back_jump_ns=round(value["back_jump_s"] * _SECOND),
        camera_height=value["camera_height"],
        camera_pitch=value["camera_pitch"],
        live=LiveSettings(**{name: value[name] for name in LIVE_SETTINGS}),
        tracker_settings={
            name: value[name] for name in TRACKER_SETTINGS if value[name] is not None and name not in from_config
        },
    )


def why_invalid(name: str, value: Any) -> str | None:
    """What is wrong with a value of the right type and range, in one line; None if nothing is."""
    spec = _BY_NAME.get(name)
    if spec is None:
        return None
    if spec.choices and value not in spec.choices:
        return f"parameter {name}: {value!r} is not one of {', '.join(spec.choices)}"
    if name == "device" and not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        return f"parameter device: {value!r} is not one of auto, cpu, cuda, cuda:N"
    if name == "weights" and not value:
        return "parameter weights: empty; a bundled checkpoint's name or the path of a .safetensors file is needed"
    if name == "cameras":
        return _why_invalid_cameras(value)
    return None


def why_fixed(name: str, *, configured: bool) -> str | None:
    """Why a parameter may not change now, in one line; None if it may."""
    if not configured or name in CHANGEABLE or name not in _BY_NAME:
        return None
    return (
        f"parameter {name}: cannot change while the node is configured; deactivate and clean it up first"
        f" (only {', '.join(CHANGEABLE)} change while it runs)"
    )


def _why_invalid_cameras(names: Iterable[str]) -> str | None:
    names = list(names)
    if not names:
        return "parameter cameras: empty list; name each camera, or give one empty name for a camera without prefix"
    if names == [""]:
        return None
    if "" in names:
        return "parameter cameras: an empty name beside others; with several cameras each needs a name"
    if wrong := next((name for name in names if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)), None):
        return f"parameter cameras: {wrong!r} cannot be part of a topic; letters, digits and underscores are right"
    if len(set(names)) < len(names):
        return f"parameter cameras: {', '.join(names)} names a camera twice"
    return None
