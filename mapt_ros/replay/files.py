"""Files that get their final name only when whole, and one clear line for what the disk has against them."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mapt_ros.errors import InputError, first_line


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around whatever writes a file, a video or a bag at ``path``.

    Raises:
        InputError: the disk is full, the folder cannot be written, and the like.
    """
    try:
        yield
    except _failures() as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{path}: cannot be written ({reason})") from None


def write_beside(path: Path, data: bytes) -> None:
    """Writes a file under a hidden name beside its place, then moves it there.

    Raises:
        InputError: it cannot be written; nothing is left behind.
    """
    partial = partial_name(path)
    with writing(path):
        try:
            partial.write_bytes(data)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


def partial_name(path: Path) -> Path:
    """The hidden name beside ``path`` under which it grows."""
    # The suffix stays last, because FFmpeg goes by it; the process id keeps two runs apart.
    return path.with_name(f".{os.getpid()}.partial.{path.name}")


def _failures() -> tuple[type[Exception], ...]:
    """What the disk's troubles are reported by; PyAV's only where it is in use, for importing it takes its time."""
    av = sys.modules.get("av")
    return (OSError, sqlite3.Error, *([av.FFmpegError] if av else []))
