"""Training checkpoints: everything a run needs to go on exactly, in folders that are whole or not there."""

import hashlib
import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mapt_ros.errors import InputError, first_line

FORMAT = "mapt_ros training/1"
_KEPT = 2
_TENSORS, _REST = "state.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds.

    Attributes:
        folder: where it was read from.
        step: steps done.
        tensors: ``model.*``, ``average.*``, ``optimiser.<weight>.<key>`` and ``random.<rank>.*``, on the CPU.
        rest: JSON values: the recipe, the random states, the loss scaler.
    """

    folder: Path
    step: int
    tensors: dict[str, Tensor]
    rest: dict

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors under a prefix, without it."""
        return {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(f"{name}.")}


def save(folder: Path, step: int, tensors: dict[str, Tensor], rest: dict) -> Path:
    """Writes ``folder/step_<step>`` beside its place, renames it, and removes all but the last two.

    Raises:
        InputError: it cannot be written, as when the disk is full; what was there before stays.
    """
    final = folder / f"step_{step:08d}"
    beside = folder / f".{final.name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for remnant in folder.glob(".step_*.part"):  # of a run that was killed while it saved
            shutil.rmtree(remnant, ignore_errors=True)
        beside.mkdir()
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, beside / _TENSORS)
        _sync(beside / _TENSORS)
        body = {"format": FORMAT, "step": step, "tensors": _digest((beside / _TENSORS).read_bytes()), "rest": rest}
        body["digest"] = _digest(_canonical(body))
        (beside / _REST).write_text(json.dumps(body))
        _sync(beside / _REST)
        if final.exists():  # broken, or of a run that went back to an earlier one
            shutil.rmtree(final)
        os.replace(beside, final)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{final}: cannot be written ({reason})") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    for old in _folders(folder)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def load(folder: Path) -> Checkpoint:
    """Reads one checkpoint folder, every byte checked.

    Raises:
        InputError: partial, damaged, or of another format.
    """
    try:
        body = json.loads((folder / _REST).read_text())
        told = body.pop("digest")
        if told != _digest(_canonical(body)):
            raise InputError(f"{folder / _REST}: is damaged (its checksum is wrong)")
        if body["format"] != FORMAT:
            raise InputError(f"{folder}: is of format {body['format']!r}, expected {FORMAT!r}")
        if body["tensors"] != _digest((folder / _TENSORS).read_bytes()):
            raise InputError(f"{folder / _TENSORS}: is damaged (its checksum is wrong)")
        return Checkpoint(folder, body["step"], load_file(folder / _TENSORS), body["rest"])
    except OSError as error:
        raise InputError(f"{folder}: is not a whole checkpoint ({error.strerror}: {error.filename})") from None
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{folder}: is not a readable checkpoint ({first_line(error)})") from None


def load_latest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint, None if there is none, and one line for every newer one that was refused."""
    refused = []
    for candidate in _folders(folder):
        try:
            return load(candidate), refused
        except InputError as error:
            refused.append(str(error))
    return None, refused


def optimiser_tensors(optimiser: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimiser's memory as ``optimiser.<weight>.<key>``."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"optimiser.{names[parameter]}.{key}": value
        for parameter, state in optimiser.state.items()
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, model: nn.Module, checkpoint: Checkpoint) -> None:
    """Gives the optimiser its memory back."""
    parameters = dict(model.named_parameters())
    for path, value in checkpoint.part("optimiser").items():
        name, key = path.rsplit(".", 1)
        parameter = parameters[name]
        if value.shape == parameter.shape:  # laid out in memory as the weight is, which fused kernels rely on
            optimiser.state[parameter][key] = torch.empty_like(parameter).copy_(value)
        else:  # Adam's count of steps
            optimiser.state[parameter][key] = value.to(parameter.device)


def seed_random(seed: int) -> None:
    """Seeds torch's, NumPy's and Python's global generators."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def random_state() -> tuple[dict[str, Tensor], dict]:
    """The states of torch's, NumPy's and Python's global generators: tensors, and JSON values."""
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    kind, keys, *numpy_rest = np.random.get_state()
    tensors["numpy"] = torch.from_numpy(keys.astype(np.int64))
    version, words, gauss = random.getstate()
    return tensors, {"numpy": [kind, *numpy_rest], "python": [version, list(words), gauss]}


def restore_random(tensors: dict[str, Tensor], rest: dict) -> None:
    """Sets the global generators back to what ``random_state`` told."""
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available() and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"])
    kind, *numpy_rest = rest["numpy"]
    np.random.set_state((kind, tensors["numpy"].numpy().astype(np.uint32), *numpy_rest))
    version, words, gauss = rest["python"]
    random.setstate((version, tuple(words), gauss))


def _folders(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    return sorted(folder.glob("step_*"), reverse=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _canonical(body: dict) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
