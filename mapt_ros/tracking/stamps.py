"""Decides from the stamps alone whether an image continues a camera's stream, restarts it, or comes too late."""

from enum import Enum


class Verdict(Enum):
    """What to do with an image, given its stamp and that of the last image accepted from the same camera."""

    CONTINUE = "continue"
    RESTART_JUMP = "restart_jump"  # time went back: a new replay; the state resets, epoch + 1
    RESTART_GAP = "restart_gap"  # the camera was silent for too long to propagate anything; the same
    LATE = "late"  # a little older than its predecessor: drop
    DUPLICATE = "duplicate"  # the same stamp again: drop

    @property
    def restarts(self) -> bool:
        return self in (Verdict.RESTART_JUMP, Verdict.RESTART_GAP)

    @property
    def drops(self) -> bool:
        return self in (Verdict.LATE, Verdict.DUPLICATE)


def judge_stamp(stamp_ns: int, last_ns: int | None, *, back_jump_ns: int, max_gap_ns: int) -> Verdict:
    """Judges the stamp of an arriving image.

    It looks at arrivals, not at what a busy tracker had time for, so that the same input always resets at the same
    images. A stamp of zero after zero is a driver that never stamps: arrival order serves.

    Args:
        stamp_ns: the image's stamp.
        last_ns: stamp of the last image of this camera that was not dropped by this function; None at the start.
        back_jump_ns: more than this behind ``last_ns`` is a new replay, less is a late image.
        max_gap_ns: more than this ahead of ``last_ns`` is a gap.
    """
    if last_ns is None or stamp_ns == last_ns == 0:
        return Verdict.CONTINUE
    step_ns = stamp_ns - last_ns
    if step_ns < -back_jump_ns:
        return Verdict.RESTART_JUMP
    if step_ns < 0:
        return Verdict.LATE
    if step_ns == 0:
        return Verdict.DUPLICATE
    # A stream that began without stamps has no gap to measure when they set in.
    if step_ns > max_gap_ns and last_ns != 0:
        return Verdict.RESTART_GAP
    return Verdict.CONTINUE


def clock_jump_restarts(clock_ns: int, last_ns: int | None, *, back_jump_ns: int) -> bool:
    """Whether a clock that has just jumped back to ``clock_ns`` restarts a camera whose last image was ``last_ns``.

    Where the first image of the new replay overtook the clock, its own stamp has restarted the stream already, and
    a second reset would cost an epoch; a camera that never stamps can only go by the clock.
    """
    if last_ns is None:
        return False
    return last_ns == 0 or last_ns > clock_ns + back_jump_ns
