"""What the node tells about its own health: levels by thresholds, rates, latency, drops by cause, tracks, memory."""

import os
import sys
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from mapt_ros.ros.statistics import StreamReport


@dataclass(frozen=True)
class Thresholds:
    """From where on a camera's state is a warning or an error; 0 switches a threshold off.

    Attributes:
        input_timeout_s: a camera that has delivered images and is silent for longer is an error.
        warn_rate_hz, error_rate_hz: of the frames that go out; below is a warning, an error.
        warn_latency_ms, error_latency_ms: 95th percentile from image taken to frame sent; above is a warning, an error.
    """

    input_timeout_s: float = 2.0
    warn_rate_hz: float = 0.0
    error_rate_hz: float = 0.0
    warn_latency_ms: float = 0.0
    error_latency_ms: float = 0.0


def stream_status(
    status: DiagnosticStatus,
    report: StreamReport,
    *,
    topic: str,
    publishers: int,
    thresholds: Thresholds,
    enabled: bool = True,
    qos_problem: str = "",
) -> DiagnosticStatus:
    """Fills in the diagnostic of one camera: an error where images could not be used, a warning where none come or many go.

    A camera that was disabled on purpose is no fault, whatever its topic does.
    """
    if report.error_is_new:
        problems = [(DiagnosticStatus.ERROR, report.last_error)]
    elif not enabled:
        problems = []
    else:
        problems = _problems(report, thresholds, topic, publishers, qos_problem)
    status.level = DiagnosticStatus.OK
    if problems:
        status.level = max(level for level, _ in problems)
        status.message = "; ".join(text for _, text in problems)
    else:
        status.message = f"{report.output_hz:.1f} Hz" if enabled else "disabled: images are ignored"
    values = {
        "rate_hz": f"{report.output_hz:.2f}",
        "input_hz": f"{report.input_hz:.2f}",
        "received": str(report.received),
        "published": str(report.published),
        "publishers": str(publishers),
        "unstamped": str(report.unstamped),
        "tracks": str(report.visible),
        "tracks_created": str(report.created),
        "tracks_lost": str(report.lost),
    }
    for stage, (median, high) in report.latencies_ms.items():
        values[f"{stage}_ms_p50"], values[f"{stage}_ms_p95"] = f"{median:.1f}", f"{high:.1f}"
    values |= {f"dropped_{cause}": str(count) for cause, count in sorted(report.drops.items())}
    values |= {f"reset_{cause}": str(count) for cause, count in sorted(report.resets.items())}
    values["last_error"] = report.last_error
    status.values = _key_values(values)
    return status


def node_status(status: DiagnosticStatus, *, state: str, device: str, weights: str, problem: str) -> DiagnosticStatus:
    """Fills in the diagnostic of the node itself; ``problem`` is what keeps it from working, empty if nothing does."""
    status.level, status.message = (DiagnosticStatus.ERROR, problem) if problem else (DiagnosticStatus.OK, state)
    status.values = _key_values({"state": state, "device": device, "weights": weights, **memory_megabytes()})
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


def _problems(
    report: StreamReport, thresholds: Thresholds, topic: str, publishers: int, qos_problem: str
) -> list[tuple[bytes, str]]:
    who = f"{publishers} publisher{'' if publishers == 1 else 's'}"
    if report.silent_s is None:
        return [(DiagnosticStatus.WARN, qos_problem or f"no images on {topic} ({who})")]
    if report.silent_s > thresholds.input_timeout_s:
        return [(DiagnosticStatus.ERROR, f"no images on {topic} for {report.silent_s:.1f} s ({who})")]
    problems = []
    rate, latency = report.output_hz, report.latencies_ms.get("total", (0.0, 0.0))[1]
    if level := _level(-rate, -thresholds.warn_rate_hz, -thresholds.error_rate_hz):
        problems.append((level, f"only {rate:.1f} Hz"))
    if level := _level(latency, thresholds.warn_latency_ms, thresholds.error_latency_ms):
        problems.append((level, f"latency {latency:.0f} ms"))
    if report.new_drops:
        causes = ", ".join(f"{cause} {count}" for cause, count in sorted(report.new_drops.items()))
        problems.append((DiagnosticStatus.WARN, f"{rate:.1f} Hz, dropped: {causes}"))
    return problems


def _level(value: float, warn: float, error: float) -> bytes | None:
    if error and value > error:
        return DiagnosticStatus.ERROR
    return DiagnosticStatus.WARN if warn and value > warn else None


def _key_values(values: dict[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value) for key, value in values.items()]
