"""The health report says what happened since the last one, and its levels are those of the thresholds."""

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus

from mapt_ros.ros.diagnostics import Thresholds, memory_megabytes, node_status, stream_status
from mapt_ros.ros.statistics import StreamReport, StreamStatistics
from mapt_ros.tracking.frame import PanopticFrame

EMPTY = PanopticFrame(np.zeros((1, 1), np.int32))


def status_of(source: StreamStatistics | StreamReport, *, thresholds=None, **options) -> DiagnosticStatus:
    report = source.report() if isinstance(source, StreamStatistics) else source
    return stream_status(
        DiagnosticStatus(name="camera", hardware_id="cpu"),
        report,
        topic="/image",
        publishers=1,
        thresholds=thresholds or Thresholds(),
        **options,
    )


def report(**changed) -> StreamReport:
    values = {"received": 10, "published": 10, "input_hz": 10.0, "output_hz": 10.0, "silent_s": 0.1}
    return StreamReport(**{**values, "drops": {}, "new_drops": {}, **changed})


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {value.key: value.value for value in status.values}


def test_silent_camera_is_a_warning_that_names_its_topic():
    status = status_of(StreamStatistics())
    assert status.level == DiagnosticStatus.WARN
    assert status.message == "no images on /image (1 publisher)"


def test_camera_that_was_disabled_is_no_fault_unless_an_image_failed_before():
    status = status_of(StreamStatistics(), enabled=False)
    assert (status.level, status.message) == (DiagnosticStatus.OK, "disabled: images are ignored")
    statistics = StreamStatistics()
    statistics.drop("failed", "/image: tracking failed")
    assert status_of(statistics, enabled=False).level == DiagnosticStatus.ERROR


def test_latencies_are_percentiles_of_each_stage():
    statistics = StreamStatistics()
    for milliseconds in range(1, 101):
        statistics.receive()
        statistics.publish(EMPTY, {"track": float(milliseconds)})
    status = status_of(statistics)
    assert status.level == DiagnosticStatus.OK
    values = values_of(status)
    assert float(values["track_ms_p50"]) == pytest.approx(50.5, abs=0.1)
    assert float(values["track_ms_p95"]) == pytest.approx(95, abs=0.1)
    assert values["published"] == "100"


def test_dropped_images_warn_once_but_stay_counted():
    statistics = StreamStatistics()
    statistics.receive()
    statistics.drop("replaced")
    status = status_of(statistics)
    assert status.level == DiagnosticStatus.WARN and status.message.endswith("dropped: replaced 1")
    statistics.receive()
    statistics.publish(EMPTY, {})
    status = status_of(statistics)
    assert status.level == DiagnosticStatus.OK
    assert values_of(status)["dropped_replaced"] == "1"


def test_unusable_image_is_an_error_that_is_remembered_as_the_last():
    statistics = StreamStatistics()
    statistics.receive()
    statistics.drop("encoding", "/image: encoding 'rgb9' is not one of ...")
    status = status_of(statistics)
    assert status.level == DiagnosticStatus.ERROR and "'rgb9'" in status.message
    statistics.receive()
    statistics.publish(EMPTY, {})
    status = status_of(statistics)
    assert status.level == DiagnosticStatus.OK
    assert "'rgb9'" in values_of(status)["last_error"]


@pytest.mark.parametrize(
    ("changed", "thresholds", "level", "words"),
    [
        ({}, {"warn_rate_hz": 8, "error_rate_hz": 4, "warn_latency_ms": 200}, DiagnosticStatus.OK, "10.0 Hz"),
        ({"output_hz": 7.0}, {"warn_rate_hz": 8, "error_rate_hz": 4}, DiagnosticStatus.WARN, "only 7.0 Hz"),
        ({"output_hz": 3.0}, {"warn_rate_hz": 8, "error_rate_hz": 4}, DiagnosticStatus.ERROR, "only 3.0 Hz"),
        ({"output_hz": 3.0}, {}, DiagnosticStatus.OK, "3.0 Hz"),
        (
            {"latencies_ms": {"total": (90.0, 250.0)}},
            {"warn_latency_ms": 200, "error_latency_ms": 300},
            DiagnosticStatus.WARN,
            "latency 250 ms",
        ),
        ({"latencies_ms": {"total": (90.0, 350.0)}}, {"error_latency_ms": 300}, DiagnosticStatus.ERROR, "350 ms"),
        ({"silent_s": 1.9, "received": 0}, {"input_timeout_s": 2.0}, DiagnosticStatus.OK, "Hz"),
        (
            {"silent_s": 2.6, "received": 0},
            {"input_timeout_s": 2.0},
            DiagnosticStatus.ERROR,
            "no images on /image for 2.6 s (1 publisher)",
        ),
    ],
)
def test_thresholds_decide_the_level(changed, thresholds, level, words):
    status = status_of(report(**changed), thresholds=Thresholds(**thresholds))
    assert status.level == level and words in status.message


def test_reason_why_nothing_comes_is_told_where_it_is_known():
    status = status_of(StreamStatistics(), qos_problem="/image: no images because of incompatible reliability")
    assert status.level == DiagnosticStatus.WARN and "incompatible reliability" in status.message


def test_node_that_could_not_be_configured_reports_why():
    status = node_status(
        DiagnosticStatus(), state="unconfigured", device="", weights="", problem="configure failed: no such file"
    )
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, "configure failed: no such file")
    assert float(memory_megabytes()["memory_mb"]) > 1
