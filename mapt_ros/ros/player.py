"""Plays the cameras of a bag over DDS with their original stamps and /clock, where `ros2 bag play` is not installed."""

import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tqdm import tqdm

from mapt_ros.errors import InputError
from mapt_ros.msg import PanopticFrame
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.ros.participant import participant

IMAGE_TYPES = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CompressedImage": CompressedImage}
_TYPES = {**IMAGE_TYPES, "sensor_msgs/msg/CameraInfo": CameraInfo}
_TRACKED = "mapt_ros/msg/PanopticFrame"
_SETTLE_S = 0.5  # both ends of a connection find each other at different moments; only one of them is ours to see
_NAMES_S = 5.0
_FIRST_ANSWER_S = 60.0  # a network may warm up in its first frame
_LEAST_PATIENCE_S = 20.0  # a busy machine stands still for seconds now and then
_ACKED_S = 10.0


def play_bag(bag: Path, *, rate: float = 1.0, loop: int = 1, wait_s: float = 30.0) -> dict:
    """Publishes images and camera_info of a bag, each preceded by /clock at its time of recording.

    With rate 0 no image is lost on a node that answers with PanopticFrames: the next one is sent when the node has
    answered all but one (but all, if it takes images as best effort). Towards other subscribers the middleware's
    acknowledgement sets the pace.

    Args:
        bag: ROS 1 bag, rosbag2 folder, or one of its files.
        rate: speed relative to the times of recording; 0: as fast as the subscribers take it.
        loop: how often.
        wait_s: how long to wait for a subscriber of an image topic before the start.

    Returns:
        ``bag``, ``messages``, ``images``, ``answered``, ``unanswered`` (rate 0 only), ``seconds``, ``warnings``.

    Raises:
        InputError: nothing to play, nobody to play to, or a rate or loop that cannot be.
    """
    if not rate >= 0:
        raise InputError(f"rate {rate}: must be 0 (as fast as the subscribers take it) or more")
    if loop < 1:
        raise InputError(f"loop {loop}: must be 1 or more")
    reader = BagReader(bag)
    topics = {name: topic.msgtype for name, topic in reader.topics.items() if topic.msgtype in _TYPES and topic.count}
    if not any(msgtype in IMAGE_TYPES for msgtype in topics.values()):
        raise InputError(f"{bag}: no images to play; its topics are {', '.join(sorted(reader.topics)) or 'none'}")

    with participant("mapt_player") as node:
        publishers = {name: node.create_publisher(_TYPES[msgtype], name, 10) for name, msgtype in topics.items()}
        cameras = {name: publishers[name] for name, msgtype in topics.items() if msgtype in IMAGE_TYPES}
        clock = node.create_publisher(Clock, "/clock", 10)
        _wait_for_subscriber(cameras, wait_s)
        pace = _Pace(node, cameras) if rate == 0 else None
        total = loop * sum(reader.topics[name].count for name in topics)
        messages = images = 0
        begun_s = time.monotonic()
        with ExitStack() as stack:
            progress = stack.enter_context(tqdm(total=total, unit="msg", desc=bag.name, file=sys.stderr, disable=None))
            for _ in range(loop):
                first_ns, first_s = None, time.monotonic()
                for message in reader.serialized(list(topics)):
                    if first_ns is None:
                        first_ns = message.recorded_ns
                    if pace is None:
                        due_s = first_s + (message.recorded_ns - first_ns) / 1e9 / rate
                        time.sleep(max(0.0, due_s - time.monotonic()))
                    data = bytes(message.data)
                    if pace is not None and message.topic in cameras:
                        pace.before(message.topic, data)
                    clock.publish(_clock_message(message.recorded_ns))
                    publishers[message.topic].publish(data)
                    messages += 1
                    images += message.topic in cameras
                    progress.update()
            if pace is not None:
                pace.finish()
            for publisher in publishers.values():
                publisher.wait_for_all_acked(Duration(seconds=_ACKED_S))
        result = {"bag": str(bag), "messages": messages, "images": images}
        if pace is not None:
            result |= {"answered": pace.answered, "unanswered": pace.unanswered}
        return result | {"seconds": round(time.monotonic() - begun_s, 3), "warnings": reader.warnings}


def read_header(cdr: bytes) -> tuple[int, str]:
    """Stamp in nanoseconds and frame_id of a serialized message that begins with a std_msgs/Header."""
    order = "<" if cdr[1] & 1 else ">"
    seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", cdr, 4)
    return seconds * 1_000_000_000 + nanoseconds, cdr[16 : 15 + length].decode()


class _Pace:
    """Holds images back until the nodes that track them have answered the earlier ones.

    Frames come back in order, so that an answer also ends the wait for earlier images that were dropped.
    """

    def __init__(self, node: Node, cameras: dict[str, Publisher]) -> None:
        self.answered = 0
        self.unanswered = 0
        self._cameras = cameras
        self._changed = threading.Condition()
        self._pending: dict[str, deque[tuple[int, float]]] = {}  # frame_id -> (stamp, time of sending)
        self._patience_s = _FIRST_ANSWER_S
        _wait_for_names(node, cameras)
        trackers = {
            topic: {_full_name(info) for info in node.get_publishers_info_by_topic(topic)}
            for topic, types in node.get_topic_names_and_types()
            if _TRACKED in types
        }
        self._window: dict[str, int] = {}  # of the tracked cameras: how many images may be unanswered
        heard = set()
        for camera in cameras:
            takers = {_full_name(info): info.qos_profile for info in node.get_subscriptions_info_by_topic(camera)}
            answers = {topic: names & takers.keys() for topic, names in trackers.items() if names & takers.keys()}
            if answers:
                names = set.union(*answers.values())
                reliable = all(takers[name].reliability == ReliabilityPolicy.RELIABLE for name in names)
                # Two keep the node busy while an answer travels; a slot of one would replace the second of them.
                self._window[camera] = 2 if reliable else 1
                heard |= answers.keys()
        for topic in heard:
            node.create_subscription(PanopticFrame, topic, self._on_answer, 10, raw=True)
        if heard:
            time.sleep(_SETTLE_S)

    def before(self, topic: str, data: bytes) -> None:
        """Waits until an image of the topic may be sent."""
        if topic not in self._window:
            self._cameras[topic].wait_for_all_acked(Duration(seconds=_ACKED_S))
            return
        stamp_ns, frame_id = read_header(data)
        with self._changed:
            self._wait(frame_id, self._window[topic] - 1)
            self._pending[frame_id].append((stamp_ns, time.monotonic()))

    def finish(self) -> None:
        """Waits for the last answers."""
        with self._changed:
            for frame_id in list(self._pending):
                self._wait(frame_id, 0)

    def _wait(self, frame_id: str, most: int) -> None:
        pending = self._pending.setdefault(frame_id, deque())
        while len(pending) > most:
            if not self._changed.wait(self._patience_s):
                # A node drops what it cannot use; the images after it must not wait for ever.
                self.unanswered += len(pending)
                pending.clear()

    def _on_answer(self, data: bytes) -> None:
        stamp_ns, frame_id = read_header(data)
        with self._changed:
            pending = self._pending.get(frame_id, deque())
            if all(stamp != stamp_ns for stamp, _ in pending):
                return  # the answer to an image of somebody else
            while pending:
                stamp, sent_s = pending.popleft()
                if stamp == stamp_ns:
                    self.answered += 1
                    took_s = time.monotonic() - sent_s
                    slowest_s = took_s if self.answered == 1 else max(self._patience_s / 10, took_s)
                    self._patience_s = max(_LEAST_PATIENCE_S, 10 * slowest_s)
                    break
                self.unanswered += 1
            self._changed.notify_all()


def _wait_for_subscriber(cameras: dict[str, Publisher], wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while not any(publisher.get_subscription_count() for publisher in cameras.values()):
        if time.monotonic() > deadline:
            raise InputError(
                f"nobody subscribes to {', '.join(cameras)} after {wait_s:g} s; start the node first, with its image"
                " topic remapped to this one"
            )
        time.sleep(0.05)
    time.sleep(_SETTLE_S)


def _wait_for_names(node: Node, topics: Iterable[str]) -> None:
    """Waits until the graph knows which nodes the subscriptions of some topics belong to; it learns that last."""
    deadline = time.monotonic() + _NAMES_S
    while any("UNKNOWN" in info.node_name for topic in topics for info in node.get_subscriptions_info_by_topic(topic)):
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _full_name(info) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _clock_message(stamp_ns: int) -> Clock:
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message
