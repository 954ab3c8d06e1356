"""The stages of a frame by name, so that a benchmark can listen to the work as it is really done."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

STAGES = (
    "copy in",
    "backbone",
    "FPN",
    "semantic",
    "instance",
    "motion",
    "appearance",
    "fusion",
    "copy out",
    "association",
)
"""Every stage in the order of its first piece of work in a frame."""

Clock = Callable[[str], AbstractContextManager]
"""Called with a stage's name; the stage's work happens inside the context. A stage may come in several pieces."""


def untimed(_stage: str) -> AbstractContextManager:
    """The clock of everyday work, which does not look."""
    return nullcontext()
