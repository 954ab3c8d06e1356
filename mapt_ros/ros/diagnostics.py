"""What the node tells about its own health: rate, latency, drops by cause, memory, and the last error."""

import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

_LATENCIES_KEPT = 200  # about 20 s of a camera at 10 Hz


@dataclass(frozen=True)
class StreamReport:
    """What happened to one camera's images since the previous report.

    Attributes:
        received, published: images that came, frames that went out.
        drops: images that did not become a frame, by cause, since the start.
        new_drops: the same since the previous report.
        seconds: time since the previous report.
        latencies_ms: stage -> (median, 95th percentile) over the latest frames.
        last_error: the latest reason to drop an image that was not mere lateness, and whether it is new.
    """

    received: int
    published: int
    drops: Mapping[str, int]
    new_drops: Mapping[str, int]
    seconds: float
    latencies_ms: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    last_error: str = ""
    error_is_new: bool = False


class StreamStatistics:
    """Counts one camera's images; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._published = 0
        self._drops: Counter[str] = Counter()
        self._latencies: dict[str, deque[float]] = {}
        self._last_error = ""
        self._errors = 0
        self._reported = (0, 0, Counter(), 0, time.monotonic())

    def receive(self) -> None:
        """An image arrived."""
        with self._lock:
            self._received += 1

    def drop(self, cause: str, error: str = "") -> None:
        """An image will not become a frame; ``error`` where that is somebody's fault."""
        with self._lock:
            self._drops[cause] += 1
            if error:
                self._last_error = error
                self._errors += 1

    def publish(self, stages_ms: Mapping[str, float]) -> None:
        """A frame went out, after so many milliseconds in each stage."""
        with self._lock:
            self._published += 1
            for stage, milliseconds in stages_ms.items():
                self._latencies.setdefault(stage, deque(maxlen=_LATENCIES_KEPT)).append(milliseconds)

    def report(self) -> StreamReport:
        """What happened since the last call."""
        now = time.monotonic()
        with self._lock:
            received, published, drops, errors, then = self._reported
            self._reported = (self._received, self._published, self._drops.copy(), self._errors, now)
            return StreamReport(
                received=self._received - received,
                published=self._published - published,
                drops=dict(self._drops),
                new_drops=self._drops - drops,
                seconds=now - then,
                latencies_ms={
                    stage: (float(np.percentile(values, 50)), float(np.percentile(values, 95)))
                    for stage, values in self._latencies.items()
                },
                last_error=self._last_error,
                error_is_new=self._errors > errors,
            )


def stream_status(
    name: str, report: StreamReport, *, hardware: str, topic: str, publishers: int, enabled: bool = True
) -> DiagnosticStatus:
    """The diagnostic of one camera: an error where images could not be used, a warning where none come or many go.

    A camera that was disabled on purpose is no fault, whatever its topic does.
    """
    rate = report.published / report.seconds if report.seconds > 0 else 0.0
    status = DiagnosticStatus(name=name, hardware_id=hardware, level=DiagnosticStatus.OK)
    if report.error_is_new:
        status.level, status.message = DiagnosticStatus.ERROR, report.last_error
    elif not enabled:
        status.message = "disabled: images are ignored"
    elif report.received == 0:
        status.level = DiagnosticStatus.WARN
        status.message = f"no images on {topic} ({publishers} publisher{'' if publishers == 1 else 's'})"
    elif report.new_drops:
        causes = ", ".join(f"{cause} {count}" for cause, count in sorted(report.new_drops.items()))
        status.level, status.message = DiagnosticStatus.WARN, f"{rate:.1f} Hz, dropped: {causes}"
    else:
        status.message = f"{rate:.1f} Hz"
    values = {"rate_hz": f"{rate:.2f}", "received": str(report.received), "published": str(report.published)}
    for stage, (median, high) in report.latencies_ms.items():
        values[f"{stage}_ms_p50"], values[f"{stage}_ms_p95"] = f"{median:.1f}", f"{high:.1f}"
    values |= {f"dropped_{cause}": str(count) for cause, count in sorted(report.drops.items())}
    values["last_error"] = report.last_error
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    return status


def node_status(name: str, *, state: str, hardware: str, weights: str, problem: str) -> DiagnosticStatus:
    """The diagnostic of the node itself; ``problem`` is what keeps it from working, empty if nothing does."""
    status = DiagnosticStatus(name=name, hardware_id=hardware, level=DiagnosticStatus.OK, message=state)
    if problem:
        status.level, status.message = DiagnosticStatus.ERROR, problem
    values = {"state": state, "device": hardware, "weights": weights, **memory_megabytes()}
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    return status


def memory_megabytes() -> dict[str, str]:
    """Resident memory of this process, and the GPU memory its tensors hold, in MB."""
    megabytes = {}
    try:
        with open("/proc/self/statm") as file:
            megabytes["memory_mb"] = f"{int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6:.0f}"
    except OSError:  # not Linux
        pass
    torch = sys.modules.get("torch")  # only where the tracker has loaded it already
    if torch is not None and torch.cuda.is_initialized():
        megabytes["gpu_memory_mb"] = f"{torch.cuda.memory_allocated() / 1e6:.0f}"
    return megabytes


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
        self._log(f"{text} ({more} more like it before)" if more else text)
