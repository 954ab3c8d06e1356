"""When a stream of stamps goes on, starts anew, or drops an image."""

import pytest

from mapt_ros.tracking.stamps import Verdict, clock_jump_restarts, judge_stamp

SECOND = 10**9
LIMITS = {"back_jump_ns": SECOND // 2, "max_gap_ns": 2 * SECOND}
NOW = 1_317_000_000 * SECOND  # the stamps of old recordings are as good as any


@pytest.mark.parametrize(
    ("step_ns", "verdict"),
    [
        (SECOND // 10, Verdict.CONTINUE),
        (1, Verdict.CONTINUE),
        (2 * SECOND, Verdict.CONTINUE),
        (2 * SECOND + 1, Verdict.RESTART_GAP),
        (0, Verdict.DUPLICATE),
        (-1, Verdict.LATE),
        (-SECOND // 2, Verdict.LATE),
        (-SECOND // 2 - 1, Verdict.RESTART_JUMP),
        (-NOW, Verdict.RESTART_JUMP),
    ],
)
def test_distance_to_the_last_stamp_decides(step_ns, verdict):
    assert judge_stamp(NOW + step_ns, NOW, **LIMITS) is verdict


@pytest.mark.parametrize("stamp_ns", [0, 1, NOW])
def test_first_image_of_a_stream_is_always_taken(stamp_ns):
    assert judge_stamp(stamp_ns, None, **LIMITS) is Verdict.CONTINUE


def test_driver_that_never_stamps_is_served_in_arrival_order():
    assert judge_stamp(0, 0, **LIMITS) is Verdict.CONTINUE


def test_stamps_setting_in_after_zero_are_no_gap():
    assert judge_stamp(NOW, 0, **LIMITS) is Verdict.CONTINUE


def test_only_late_and_duplicate_drop_and_only_jump_and_gap_restart():
    assert {v for v in Verdict if v.drops} == {Verdict.LATE, Verdict.DUPLICATE}
    assert {v for v in Verdict if v.restarts} == {Verdict.RESTART_JUMP, Verdict.RESTART_GAP}


def test_looping_bag_costs_one_restart_whichever_of_clock_and_image_comes_first():
    end, begin = NOW + 60 * SECOND, NOW
    # The clock first: the stream forgets its last stamp, so that the image restarts nothing again.
    assert clock_jump_restarts(begin, end, back_jump_ns=LIMITS["back_jump_ns"])
    assert judge_stamp(begin, None, **LIMITS) is Verdict.CONTINUE
    # The image first: its stamp restarts, the clock finds the stream in the present.
    assert judge_stamp(begin, end, **LIMITS) is Verdict.RESTART_JUMP
    assert not clock_jump_restarts(begin, begin, back_jump_ns=LIMITS["back_jump_ns"])


def test_clock_jump_restarts_a_driver_that_never_stamps_but_not_a_silent_camera():
    assert clock_jump_restarts(NOW, 0, back_jump_ns=LIMITS["back_jump_ns"])
    assert not clock_jump_restarts(NOW, None, back_jump_ns=LIMITS["back_jump_ns"])
