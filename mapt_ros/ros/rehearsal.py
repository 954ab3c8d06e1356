"""Goes through a day of a running node: two replays of a bag and a reset; for trying out an installation.

    python -m mapt_ros.ros.rehearsal drive [--node /mapt]

The launch tests and the tests with plain processes make the same checks by it.
"""

import argparse
import sys
import time
from pathlib import Path

from lifecycle_msgs.srv import GetState
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from mapt_ros.errors import InputError
from mapt_ros.msg import PanopticFrame
from mapt_ros.ros.conversions import stamp_to_ns
from mapt_ros.ros.participant import participant
from mapt_ros.ros.player import play_bag

_PATIENCE_S = 60.0
_ASK_AGAIN_S = 3.0


def rehearse(bag: Path, *, node: str = "/mapt", wait_s: float = _PATIENCE_S) -> dict:
    """Plays a bag to a node twice, resets it and plays the bag once more.

    Args:
        bag: rosbag2 or ROS 1 bag on whose image topic the node listens, without gaps or jumps in its
            stamps, and longer than the node's ``back_jump_s``, so that its start over is none of a late image.
        node: full name of the node.
        wait_s: how long to wait for the node to become active.

    Returns:
        ``frames`` of each replay, its ``epochs``, and ``tracks`` seen in each.

    Raises:
        InputError: what did not happen as it must: every image answered in order, one epoch a replay, each higher than
            the one before, the sequence and the ids from the start.
    """
    frames: list[PanopticFrame] = []
    with participant("mapt_rehearsal") as ros:
        ros.create_subscription(PanopticFrame, f"{node}/panoptic", frames.append, 100)
        # Made long before it is used: a service's answer is lost on a client that the service has not discovered yet.
        reset = ros.create_client(Trigger, f"{node}/reset")
        _wait_until_active(ros, node, wait_s)
        replays = [_replay(bag, frames)]
        replays.append(_replay(bag, frames))
        future = reset.call_async(Trigger.Request())
        answer = _wait(future, _PATIENCE_S)
        if answer is None or not answer.success:
            raise InputError(f"{node}/reset: {answer.message if answer else 'no answer'}")
        replays.append(_replay(bag, frames))
    epochs = [replay[0].epoch for replay in replays]
    if epochs != list(range(epochs[0], epochs[0] + 3)):
        raise InputError(f"{node}: epochs {epochs}; each replay, and the reset once, must begin the next one")
    return {
        "frames": [len(replay) for replay in replays],
        "epochs": epochs,
        "tracks": [len({i.track_id for frame in replay for i in frame.instances}) for replay in replays],
    }


def _replay(bag: Path, frames: list[PanopticFrame]) -> list[PanopticFrame]:
    """The answers to one replay."""
    frames.clear()
    result = play_bag(bag, rate=0)
    deadline = time.monotonic() + _PATIENCE_S
    while len(frames) < result["images"] and time.monotonic() < deadline:
        time.sleep(0.02)
    if result["unanswered"] or len(frames) != result["images"]:
        raise InputError(f"{bag}: {len(frames)} of {result['images']} images answered")
    stamps = [stamp_to_ns(frame.header) for frame in frames]
    if stamps != sorted(stamps):
        raise InputError(f"{bag}: answers out of order")
    if len({frame.epoch for frame in frames}) > 1:
        raise InputError(f"{bag}: epochs {sorted({frame.epoch for frame in frames})} within one replay")
    if [frame.sequence for frame in frames] != list(range(len(frames))):
        raise InputError(f"{bag}: a replay does not begin with sequence 0")
    ids = [i.track_id for frame in frames for i in frame.instances]
    if ids and min(ids) != 1:
        raise InputError(f"{bag}: the ids of a replay begin with {min(ids)}")
    return list(frames)


def _wait_until_active(ros: Node, node: str, wait_s: float) -> None:
    client = ros.create_client(GetState, f"{node}/get_state")
    deadline = time.monotonic() + wait_s
    if not client.wait_for_service(wait_s):
        raise InputError(f"{node}: no such node after {wait_s:g} s; is it running in this ROS domain?")
    state = "silent"
    while state != "active":
        if time.monotonic() > deadline:
            raise InputError(f"{node}: {state} after {wait_s:g} s; its log says why")
        # While it loads its weights the node answers nobody, and an early answer may get lost: ask again.
        answer = _wait(client.call_async(GetState.Request()), _ASK_AGAIN_S)
        state = answer.current_state.label if answer else state
        time.sleep(0.1)
    ros.destroy_client(client)


def _wait(future: Future, seconds: float):
    """A service's answer, None if it does not come in time."""
    deadline = time.monotonic() + seconds
    while not future.done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return future.result() if future.done() else None


def main() -> int:
    """Prints the result, or one line that says what went wrong with exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", type=Path)
    parser.add_argument("--node", default="/mapt")
    options = parser.parse_args()
    try:
        print(rehearse(options.bag, node=options.node))
    except InputError as error:
        print(f"rehearsal: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
