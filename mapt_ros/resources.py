"""Finds the files that ship beside the code: configs, message definitions, launch files, weights."""

import os
from pathlib import Path
from typing import Any

from mapt_ros.errors import InputError, validated

_PACKAGE = Path(__file__).parent


def resource(relative: str) -> Path:
    """Path of a shipped file or folder, such as ``config/model/compact.yaml`` or ``msg``.

    An installed package carries them in ``mapt_ros/share``; a source tree has them at its top level.

    Raises:
        FileNotFoundError: neither place has it.
    """
    for root in (_PACKAGE / "share", _PACKAGE.parent):
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"{relative}: not shipped with this installation of mapt_ros (looked beside {_PACKAGE})")


def read_settings(model: type, name_or_path: str | Path, folder: str, kind: str) -> Any:
    """A pydantic model from a YAML file: a path, or the name of one that ships in ``folder``.

    Args:
        model: the pydantic model class.
        folder: such as ``config/model``.
        kind: what to call it in a complaint.

    Raises:
        InputError: no such file, not YAML, an unknown key or a value out of range.
    """
    import yaml

    path = Path(name_or_path)
    if not path.suffix:
        try:
            path = resource(f"{folder}/{path}.yaml")
        except FileNotFoundError:
            names = ", ".join(sorted(p.stem for p in resource(folder).glob("*.yaml")))
            raise InputError(f"{kind} {str(name_or_path)!r}: no such bundled {kind}; there are {names}") from None
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a YAML {kind}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())[:120]})") from None
    return validated(model, content, str(path))


def cache_dir() -> Path:
    """The user's cache folder for things that can be made again: ``$MAPT_CACHE``, else ``$XDG_CACHE_HOME/mapt_ros``."""
    if chosen := os.environ.get("MAPT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mapt_ros"
