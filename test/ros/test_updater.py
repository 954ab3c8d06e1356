"""The health report is one message, whether diagnostic_updater sends it or the node by itself."""

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus

from mapt_ros.ros import updater

NAMES = ["mapt: node state", "mapt: camera"]


def last_report(node) -> list[DiagnosticStatus]:
    """Waits for a report of the node and its camera."""
    node.wait_until(lambda: node.reports and [s.name for s in node.reports[-1].status] == NAMES, "a whole report")
    return node.reports[-1].status


def check(node) -> None:
    """What a report says, whoever sends it."""
    node.camera()
    state, camera = last_report(node)
    assert (state.level, state.message, state.hardware_id) == (DiagnosticStatus.OK, "active", "cpu")
    assert {value.key for value in state.values} >= {"state", "device", "weights", "memory_mb"}
    assert (camera.level, camera.hardware_id) == (DiagnosticStatus.WARN, "cpu")
    assert camera.message == "no images on /image (1 publisher)"
    assert {value.key for value in camera.values} >= {"rate_hz", "input_hz", "tracks", "unstamped"}
    node.node.trigger_deactivate()
    node.wait_until(lambda: [s.name for s in node.reports[-1].status] == NAMES[:1], "a report without the camera")


def test_report_without_diagnostic_updater(bench, monkeypatch):
    monkeypatch.setattr(updater, "Updater", None)
    check(bench(args=["-p", "use_sim_time:=true"]))  # no /clock: the node's own time stands still


def test_report_with_diagnostic_updater(bench):
    pytest.importorskip("diagnostic_updater", reason="diagnostic_updater comes with a full ROS 2 installation")
    node = bench(args=["-p", "use_sim_time:=true", "-p", "diagnostic_updater.period:=0.5"])
    assert isinstance(node.node._updater, updater.Updater)
    check(node)


def test_names_are_those_of_the_nodes_namespace(bench, monkeypatch):
    monkeypatch.setattr(updater, "Updater", None)
    node = bench(autostart=False, args=["-r", "__ns:=/car"])
    node.wait_until(lambda: node.reports, "a report")
    assert [status.name for status in node.reports[-1].status] == ["car/mapt: node state"]
