"""The node's parameters, transitions and diagnostics, asked for over DDS as any other program would."""

import threading

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter

from mapt_ros.errors import InputError

STAMPS = [(1_317_046_464_000 + i * 100) * 10**6 for i in range(30)]  # of 2011, at 10 Hz


def set_parameters(bench, **values):
    request = SetParametersAtomically.Request()
    request.parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    return bench.call(SetParametersAtomically, "/mapt/set_parameters_atomically", request).result


def transition(bench, number: int) -> bool:
    return bench.call(ChangeState, "/mapt/change_state", ChangeState.Request(transition=Transition(id=number))).success


def state(bench) -> int:
    return bench.call(GetState, "/mapt/get_state", GetState.Request()).current_state.id


def test_tracker_settings_and_overlay_scale_change_while_running(bench):
    node = bench()
    node.camera()
    changed = set_parameters(
        node, score_threshold=0.25, association="motion", max_age=3, publish_lost=True, overlay_scale=0.5
    )
    assert changed.successful, changed.reason
    settings = node.tracker.settings
    assert (settings.score_threshold, settings.association) == (0.25, "motion")
    assert (settings.max_age, settings.publish_lost) == (3, True)
    assert node.node._channels[0].live.overlay_scale == 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": "other"}, "parameter weights: cannot change while the node is configured"),
        ({"camera_height": 1.0}, "parameter camera_height: cannot change"),
        ({"association": "magic"}, "'magic' is not one of combined, motion"),
        ({"score_threshold": 1.5}, "out of range"),
        ({"max_age": "old"}, "Wrong parameter type"),
        ({"score_threshold": 0.1, "device": "cpu"}, "parameter device"),
    ],
)
def test_other_changes_are_refused_with_the_reason_and_change_nothing(bench, change, words):
    node = bench()
    node.camera()
    refused = set_parameters(node, **change)
    assert not refused.successful and words in refused.reason
    assert node.tracker.settings.score_threshold == 0.5


def test_settings_nobody_set_are_those_of_the_weights(bench):
    node = bench(score_threshold=0.125)
    node.camera()
    assert (node.tracker.settings.score_threshold, node.tracker.settings.max_age) == (0.125, 7)
    assert node.node.get_parameter("max_age").value == 7


def test_configuring_fails_with_the_reason_and_can_be_tried_again(bench, capfd):
    def load(weights, **options):
        if weights == "missing":
            raise InputError("missing: no such weights; compact is bundled")
        return node._load(weights, **options)

    node = bench(tracker_factory=load, weights="missing")
    node.wait_until(lambda: node.diagnostic("mapt: node state", "state") == "unconfigured", "diagnostics")
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "ERROR" in line]
    assert line.endswith("configure failed: missing: no such weights; compact is bundled")
    assert set_parameters(node, weights="compact").successful
    assert transition(node, Transition.TRANSITION_CONFIGURE)
    assert transition(node, Transition.TRANSITION_ACTIVATE)
    node.camera().publish(node.image(STAMPS[0]))
    node.expect(STAMPS[:1])


def test_node_that_does_not_start_itself_waits_for_its_transitions(bench):
    node = bench(autostart=False, drop_policy="none")
    assert state(node) == State.PRIMARY_STATE_UNCONFIGURED
    assert transition(node, Transition.TRANSITION_CONFIGURE)
    assert transition(node, Transition.TRANSITION_ACTIVATE)
    camera = node.camera()
    camera.publish(node.image(STAMPS[0]))
    node.expect(STAMPS[:1])
    assert transition(node, Transition.TRANSITION_DEACTIVATE)
    assert state(node) == State.PRIMARY_STATE_INACTIVE
    node.wait_until(lambda: camera.get_subscription_count() == 0, "the end of the subscription")
    assert transition(node, Transition.TRANSITION_ACTIVATE)
    node.wait_until(lambda: camera.get_subscription_count() == 1, "the subscription")
    camera.publish(node.image(STAMPS[1]))
    frames = node.expect(STAMPS[:2])
    assert [(frame.epoch, frame.sequence) for frame in frames] == [(0, 0), (1, 0)]


@pytest.mark.parametrize("active", [True, False])
def test_node_that_was_shut_down_says_that_it_is_finalized(bench, active):
    node = bench(autostart=active)
    if active:
        node.camera()
    assert transition(
        node, Transition.TRANSITION_ACTIVE_SHUTDOWN if active else Transition.TRANSITION_UNCONFIGURED_SHUTDOWN
    )
    assert state(node) == State.PRIMARY_STATE_FINALIZED
    node.reports.clear()
    node.wait_until(lambda: node.status("mapt: node state"), "diagnostics")
    assert node.status("mapt: node state").message == node.diagnostic("mapt: node state", "state") == "finalized"


def test_ids_of_an_earlier_configuration_never_come_again(bench):
    node = bench(drop_policy="none")
    node.camera().publish(node.image(STAMPS[0]))
    node.expect(STAMPS[:1])
    for number in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        assert transition(node, number)
    for number in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert transition(node, number)
    node.camera().publish(node.image(STAMPS[1]))
    node.wait_until(lambda: len(node.frames) == 2, "a frame after the second configuration")
    assert [frame.epoch for frame in node.frames] == [0, 1]


def test_diagnostics_tell_rate_latency_memory_and_device(bench):
    node = bench(drop_policy="none")
    node.camera().publish(node.image(STAMPS[0]))
    for key in ("decode_ms_p50", "track_ms_p95", "publish_ms_p50", "total_ms_p95", "rate_hz", "input_hz"):
        node.wait_until(lambda k=key: node.diagnostic("mapt: camera", k) is not None, key)
    assert float(node.diagnostic("mapt: node state", "memory_mb")) > 1
    assert node.diagnostic("mapt: node state", "device") == "cpu"
    assert node.diagnostic("mapt: node state", "weights") == "stand-in 0123456789ab"
    assert (node.diagnostic("mapt: camera", "tracks"), node.diagnostic("mapt: camera", "tracks_created")) == ("1", "1")


def test_thresholds_change_the_level_while_running(bench):
    node = bench(drop_policy="none", input_timeout_s=1000.0)
    node.camera().publish(node.image(STAMPS[0]))
    node.wait_until(lambda: node.level("mapt: camera") == DiagnosticStatus.OK, "OK")
    assert set_parameters(node, error_rate_hz=1000.0).successful
    node.wait_until(lambda: node.level("mapt: camera") == DiagnosticStatus.ERROR, "an error")
    assert "only" in node.status("mapt: camera").message
    assert set_parameters(node, error_rate_hz=0.0, input_timeout_s=0.1).successful
    node.wait_until(lambda: "no images on /image for" in node.status("mapt: camera").message, "the silence")


def test_input_that_stops_is_told_once_and_so_is_its_return(bench, capfd):
    node = bench(drop_policy="none", input_timeout_s=0.1)
    camera = node.camera()
    camera.publish(node.image(STAMPS[0]))
    for _ in range(3):
        node.reports.clear()
        node.wait_until(lambda: node.level("mapt: camera") == DiagnosticStatus.ERROR, "the silence")
    assert set_parameters(node, input_timeout_s=1000.0).successful
    camera.publish(node.image(STAMPS[1]))
    for _ in range(2):
        node.reports.clear()
        node.wait_until(lambda: node.level("mapt: camera") == DiagnosticStatus.OK, "images again")
    lines = [line for line in capfd.readouterr().err.splitlines() if "no images for" in line or "come again" in line]
    assert ["WARN" in line for line in lines] == [True, False], lines
    assert "/image: no images for" in lines[0] and "(1 publisher)" in lines[0]


def test_lifecycle_leaves_no_threads_publishers_or_subscriptions_behind(bench):
    node = bench(autostart=False, drop_policy="none")

    def cycle() -> None:
        for number in (
            Transition.TRANSITION_CONFIGURE,
            Transition.TRANSITION_ACTIVATE,
            Transition.TRANSITION_DEACTIVATE,
            Transition.TRANSITION_CLEANUP,
        ):
            assert transition(node, number)

    def held() -> tuple:
        entities = (node.node.publishers, node.node.subscriptions, node.node.waitables, node.node.timers)
        return threading.active_count(), *(len(list(kind)) for kind in entities)

    cycle()
    before = held()
    for _ in range(5):
        cycle()
    assert held() == before
