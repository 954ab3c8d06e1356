"""Finds the files that ship beside the code: configs, message definitions, launch files, weights."""

import os
from pathlib import Path

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


def cache_dir() -> Path:
    """The user's cache folder for things that can be made again: ``$MAPT_CACHE``, else ``$XDG_CACHE_HOME/mapt_ros``."""
    if chosen := os.environ.get("MAPT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mapt_ros"
