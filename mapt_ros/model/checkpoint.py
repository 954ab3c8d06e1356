"""Saves and loads networks as safetensors files whose header carries the config: a file is enough to run one."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from mapt_ros.errors import InputError, first_line, validated
from mapt_ros.model.config import ModelConfig
from mapt_ros.model.mapt import MAPT

FORMAT = "mapt_ros/1"


@dataclass(frozen=True)
class Header:
    """What a checkpoint says about itself.

    Attributes:
        model: the network's config.
        tracker: the tracker section of the config it was made with; {} if it has none.
        facts: how it was trained, free-form.
    """

    model: ModelConfig
    tracker: dict
    facts: dict


def save_checkpoint(
    path: Path, model: MAPT, *, tracker: dict | None = None, facts: dict | None = None, half: bool = False
) -> None:
    """Writes beside the final name, then renames: a reader never sees half a file.

    Args:
        path: a ``.safetensors`` file; its folder is made.
        model: on any device.
        tracker, facts: for the header; JSON-serialisable.
        half: store floating-point weights as fp16 (half the size; exactness is lost).
    """
    tensors = {
        name: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in model.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "model": model.config.model_dump_json(),
        "tracker": json.dumps(tracker or {}),
        "facts": json.dumps(facts or {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(save(tensors, metadata=metadata))  # save_file's files are for their owner alone
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read_header(path: Path) -> Header:
    """The header alone, without the weights.

    Raises:
        InputError: no such file, or not a checkpoint of this package.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weights file; expected a .safetensors checkpoint")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({first_line(error)})") from None
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path}: not a mapt_ros checkpoint (format {metadata.get('format')!r}, expected {FORMAT!r})")
    try:
        sections = {key: json.loads(metadata[key]) for key in ("model", "tracker", "facts")}
    except (KeyError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: its header is damaged ({first_line(error)})") from None
    for key, section in sections.items():
        if not isinstance(section, dict):
            raise InputError(f"{path}: its header is damaged ({key} is no mapping)")
    return Header(
        validated(ModelConfig, sections["model"], f"{path}: config in its header"), *list(sections.values())[1:]
    )


def load_checkpoint(path: Path, expected: ModelConfig | None = None) -> tuple[MAPT, Header]:
    """The network in evaluation mode on the CPU, weights as fp32, every key checked.

    Args:
        path: a file written by ``save_checkpoint``.
        expected: the config that the caller wants, which may differ from the file's in what no weight depends on
            (``ModelConfig.of_weights``); None takes the file's own.

    Raises:
        InputError: unreadable, of another config, or with missing, unexpected, wrongly shaped or non-finite tensors.
    """
    header = read_header(path)
    config = expected or header.model
    if config.of_weights() != header.model.of_weights():
        raise InputError(f"{path}: weights of another config; {_differences(header.model, config)[0]}")
    model = MAPT(config)
    wanted = model.state_dict()
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: its weights cannot be read ({first_line(error)})") from None
    for name in sorted(wanted.keys() ^ tensors.keys()):
        problem = "is missing" if name in wanted else "does not belong to this config"
        raise InputError(
            f"{path}: tensor {name!r} {problem}; the file does not fit its own config {header.model.name!r}"
        )
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise InputError(
                f"{path}: tensor {name!r} has shape {tuple(tensor.shape)}, config {header.model.name!r} needs"
                f" {tuple(wanted[name].shape)}"
            )
        if not tensor.isfinite().all():
            raise InputError(
                f"{path}: tensor {name!r} holds values that are not finite; the training that made it failed"
            )
    model.load_state_dict({name: t.to(wanted[name].dtype) for name, t in tensors.items()}, strict=True)
    return model.eval(), header


def grow_checkpoint(path: Path, config: ModelConfig) -> tuple[MAPT, list[str]]:
    """A larger network that begins with a smaller one's weights: what the file lacks begins as it does untrained.

    Args:
        path: a file written by ``save_checkpoint``.
        config: of the larger network.

    Returns:
        The network in evaluation mode on the CPU, and a line for every setting in which the two configs differ: also
        for those that change what a weight means without adding any, which only the caller can judge.

    Raises:
        InputError: as ``load_checkpoint``, or the file has a tensor that the larger network has not in that shape.
    """
    small, header = load_checkpoint(path)
    differences = _differences(header.model, config)
    model, given = MAPT(config), small.state_dict()
    wanted = model.state_dict()
    for name, tensor in given.items():
        if name not in wanted or wanted[name].shape != tensor.shape:
            place = f"{tuple(wanted[name].shape)} in the config" if name in wanted else "not in the config"
            raise InputError(
                f"{path}: its network is no part of {config.name!r}: tensor {name!r} is {tuple(tensor.shape)} in the"
                f" file, {place}; {differences[0]}"
            )
    model.load_state_dict(given, strict=False)
    return model.eval(), differences


def find_weights(name_or_path: str | Path) -> Path:
    """A checkpoint's file: a path as it is, or the name of a bundled one.

    Raises:
        InputError: there are no weights of that name.
    """
    path = Path(name_or_path)
    if path.suffix or len(path.parts) > 1:
        return path
    bundled = Path(__file__).parents[1] / "weights"
    if (bundled / f"{path}.safetensors").is_file():
        return bundled / f"{path}.safetensors"
    names = ", ".join(sorted(file.stem for file in bundled.glob("*.safetensors"))) or "none"
    raise InputError(f"weights {str(path)!r}: bundled are {names}; or give a .safetensors file")


def file_hash(path: Path) -> str:
    """The first 12 hexadecimal digits of the file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _differences(found: ModelConfig, wanted: ModelConfig) -> list[str]:
    """The settings in which the weights of two configs differ, in words."""
    left, right = (flatten(config.of_weights()) for config in (found, wanted))
    return [f"{k} is {left[k]!r} in the file, {right[k]!r} in the config" for k in left if left[k] != right[k]]


def flatten(sections: dict, prefix: str = "") -> dict:
    """Nested settings by dotted names."""
    flat = {}
    for key, value in sections.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
