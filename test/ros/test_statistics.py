"""Every image, reset and track is counted once, memory stays bounded, and the log does not drown in one cause."""

import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.ros.statistics import CauseLog, StreamStatistics
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState


def frame(ages: dict[int, int], *, epoch: int = 0) -> PanopticFrame:
    """A frame with a car of each age, by track id."""
    labels = np.zeros((4, 4), np.int32)
    cars = []
    for track_id, age in ages.items():
        labels[0, 0] = 13 * LABEL_DIVISOR + track_id
        cars.append(
            TrackedInstance(
                track_id=track_id,
                class_id=13,
                score=0.9,
                box=(0, 0, 1, 1),
                area=1,
                x=0.0,
                y=0.0,
                vx=0.0,
                vy=0.0,
                age=age,
                frames_since_seen=0,
                state=TrackState.CONFIRMED,
                association=Association.NEW,
                association_score=0.9,
            )
        )
    return PanopticFrame(labels, cars, epoch=epoch)


def test_tracks_that_come_and_go_are_counted():
    statistics = StreamStatistics()
    for one in (frame({1: 1, 2: 1}), frame({1: 2}), frame({1: 3, 3: 1}), frame({1: 1}, epoch=1)):
        statistics.publish(one, {})
    report = statistics.report()
    # Track 1 of the next epoch is another one; the old epoch's two are gone.
    assert (report.visible, report.created, report.lost) == (1, 4, 3)


def test_resets_and_drops_are_counted_by_cause():
    statistics = StreamStatistics()
    for cause in ("service", "restart_jump", "service"):
        statistics.reset(cause)
    statistics.drop("late")
    report = statistics.report()
    assert report.resets == {"service": 2, "restart_jump": 1}
    assert report.drops == report.new_drops == {"late": 1}
    assert statistics.report().new_drops == {}


def test_error_that_cost_no_image_is_told_too():
    statistics = StreamStatistics()
    statistics.fail("out of memory")
    report = statistics.report()
    assert report.error_is_new and report.last_error == "out of memory" and not report.drops
    assert not statistics.report().error_is_new


def test_silence_is_measured_from_the_last_image_unless_images_are_expected_anew():
    statistics = StreamStatistics()
    assert statistics.silent_s() is None
    statistics.receive()
    assert statistics.silent_s() >= 0
    statistics.expect()
    assert statistics.silent_s() is None


def test_memory_of_latencies_and_reports_is_bounded():
    statistics = StreamStatistics()
    for _ in range(5_000):
        statistics.publish(frame({}), {"track": 1.0})
        statistics._reported.append(statistics._counts())
    assert len(statistics._latencies["track"]) < 1000 and len(statistics._reported) < 100


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


def test_text_from_a_message_cannot_fill_the_log_or_the_diagnostics():
    lines, statistics = [], StreamStatistics()
    CauseLog(lines.append)("encoding", "/image: encoding " + "x" * 10**6)
    statistics.fail("/image: encoding " + "x" * 10**6)
    assert len(lines[0]) <= 1000 and len(statistics.report().last_error) <= 1000
