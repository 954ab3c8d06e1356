"""Counts what becomes of one camera's images, and keeps the log from drowning in one cause."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mapt_ros.tracking.frame import PanopticFrame

_LATENCIES_KEPT = 200  # about 20 s of a camera at 10 Hz
_LONGEST_TEXT = 500  # what a message says of itself, its encoding for one, may be of any length
_REPORTS_KEPT = 5  # rates are measured over so many; at a few frames a second, one report alone is coarse


@dataclass(frozen=True)
class StreamReport:
    """What happened to one camera's images since the previous report.

    Attributes:
        received, published: images that came, frames that went out.
        input_hz, output_hz: their rates over the latest reports.
        silent_s: time since the last image in seconds; None before the first one.
        drops: images that did not become a frame, by cause, since the start.
        new_drops: the same since the previous report.
        resets: how often the state was reset, by cause, since the start.
        unstamped: images that came with a stamp of zero, since the start.
        latencies_ms: stage -> (median, 95th percentile) over the latest frames.
        visible: tracks with pixels in the last frame.
        created, lost: tracks that were born, and that went out of sight, since the start.
        last_error: the latest fault that was not mere lateness, and whether it is new.
    """

    received: int
    published: int
    input_hz: float
    output_hz: float
    silent_s: float | None
    drops: Mapping[str, int]
    new_drops: Mapping[str, int]
    resets: Mapping[str, int] = field(default_factory=dict)
    unstamped: int = 0
    latencies_ms: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    visible: int = 0
    created: int = 0
    lost: int = 0
    last_error: str = ""
    error_is_new: bool = False


class _Counts(NamedTuple):
    time_s: float
    received: int
    published: int
    errors: int
    drops: Mapping[str, int]


class StreamStatistics:
    """Counts one camera's images; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._unstamped = 0
        self._published = 0
        self._last_received_s: float | None = None
        self._drops: Counter[str] = Counter()
        self._resets: Counter[str] = Counter()
        self._latencies: dict[str, deque[float]] = {}
        self._visible: set[tuple[int, int]] = set()
        self._created = 0
        self._lost = 0
        self._last_error = ""
        self._errors = 0
        self._reported = deque([self._counts()], maxlen=_REPORTS_KEPT)

    def receive(self, *, stamped: bool = True) -> None:
        """An image arrived."""
        with self._lock:
            self._received += 1
            self._unstamped += not stamped
            self._last_received_s = time.monotonic()

    def expect(self) -> None:
        """The time without images is measured from now on."""
        with self._lock:
            self._last_received_s = None

    def drop(self, cause: str, error: str = "") -> None:
        """An image will not become a frame; ``error`` where that is somebody's fault."""
        with self._lock:
            self._drops[cause] += 1
        if error:
            self.fail(error)

    def fail(self, error: str) -> None:
        """Something went wrong that may or may not have cost an image."""
        with self._lock:
            self._last_error = error[:_LONGEST_TEXT]
            self._errors += 1

    def reset(self, cause: str) -> None:
        """The tracks are to be forgotten."""
        with self._lock:
            self._resets[cause] += 1

    def publish(self, frame: PanopticFrame, stages_ms: Mapping[str, float]) -> None:
        """A frame went out, after so many milliseconds in each stage."""
        visible = {(frame.epoch, i.track_id) for i in frame.instances if i.area > 0}
        with self._lock:
            self._published += 1
            self._created += sum(i.age == 1 for i in frame.instances)
            self._lost += len(self._visible - visible)
            self._visible = visible
            for stage, milliseconds in stages_ms.items():
                self._latencies.setdefault(stage, deque(maxlen=_LATENCIES_KEPT)).append(milliseconds)

    def silent_s(self) -> float | None:
        """Seconds since the last image; None before the first one."""
        with self._lock:
            return None if self._last_received_s is None else time.monotonic() - self._last_received_s

    def report(self) -> StreamReport:
        """What happened since the last call."""
        with self._lock:
            now, before, oldest = self._counts(), self._reported[-1], self._reported[0]
            self._reported.append(now)
            seconds = max(now.time_s - oldest.time_s, 1e-9)
            return StreamReport(
                received=now.received - before.received,
                published=now.published - before.published,
                input_hz=(now.received - oldest.received) / seconds,
                output_hz=(now.published - oldest.published) / seconds,
                silent_s=None if self._last_received_s is None else now.time_s - self._last_received_s,
                drops=dict(self._drops),
                new_drops=self._drops - before.drops,
                resets=dict(self._resets),
                unstamped=self._unstamped,
                latencies_ms={
                    stage: (float(np.percentile(values, 50)), float(np.percentile(values, 95)))
                    for stage, values in self._latencies.items()
                },
                visible=len(self._visible),
                created=self._created,
                lost=self._lost,
                last_error=self._last_error,
                error_is_new=now.errors > before.errors,
            )

    def _counts(self) -> _Counts:
        return _Counts(time.monotonic(), self._received, self._published, self._errors, self._drops.copy())


class CauseLog:
    """Logs one line for each cause, then keeps quiet about that cause for a while and counts."""

    def __init__(self, log: Callable[[str], object], period_s: float = 5.0) -> None:
        self._log = log
        self._period_s = period_s
        self._lock = threading.Lock()
        self._logged: dict[str, float] = {}
        self._quiet: Counter[str] = Counter()

    def __call__(self, cause: str, text: str) -> None:
        """Logs ``text`` unless ``cause`` was logged within the period."""
        now = time.monotonic()
        with self._lock:
            if now - self._logged.get(cause, -self._period_s) < self._period_s:
                self._quiet[cause] += 1
                return
            self._logged[cause] = now
            more = self._quiet.pop(cause, 0)
        text = text[:_LONGEST_TEXT]
        self._log(f"{text} ({more} more like it before)" if more else text)
