"""The health report says what happened since the last one, and the log does not drown in one cause."""

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus

from mapt_ros.ros.diagnostics import CauseLog, StreamStatistics, memory_megabytes, node_status, stream_status


def status_of(statistics: StreamStatistics, **options) -> DiagnosticStatus:
    return stream_status("mapt: camera", statistics.report(), hardware="cpu", topic="/image", publishers=1, **options)


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
        statistics.publish({"track": float(milliseconds)})
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
    statistics.publish({})
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
    statistics.publish({})
    status = status_of(statistics)
    assert status.level == DiagnosticStatus.OK
    assert "'rgb9'" in values_of(status)["last_error"]


def test_memory_of_latencies_is_bounded():
    statistics = StreamStatistics()
    for _ in range(10_000):
        statistics.publish({"track": 1.0})
    assert len(statistics._latencies["track"]) < 1000


def test_node_that_could_not_be_configured_reports_why():
    status = node_status(
        "mapt", state="unconfigured", hardware="", weights="", problem="configure failed: no such file"
    )
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, "configure failed: no such file")
    assert float(memory_megabytes()["memory_mb"]) > 1


def test_one_cause_is_logged_once_in_a_while_and_others_are_not_held_up():
    lines = []
    log = CauseLog(lines.append, period_s=3600)
    for _ in range(5):
        log("step", "step too small")
    log("encoding", "unknown encoding")
    assert lines == ["step too small", "unknown encoding"]


def test_quiet_repetitions_are_counted_when_the_cause_is_logged_again():
    lines = []
    log = CauseLog(lines.append, period_s=3600)
    log("step", "first")
    log("step", "second")
    log._logged["step"] -= 3600
    log("step", "third")
    assert lines == ["first", "third (1 more like it before)"]
