"""Records topics from DDS into a rosbag2, where `ros2 bag record` is not installed."""

import threading
import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from pathlib import Path

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from mapt_ros.replay.bags import StagedBag
from mapt_ros.ros.participant import participant


def message_class(msgtype: str) -> type:
    """The Python class of a type such as ``sensor_msgs/msg/Image``.

    Raises:
        ImportError, AttributeError: its package is not installed or has no such message.
    """
    package, _, name = msgtype.split("/")
    return getattr(import_module(f"{package}.msg"), name)


class Recorder(AbstractContextManager):
    """Writes what is sent on some topics, from entering the context to leaving it, byte for byte.

    The bag grows beside its place and appears under its name when the context is left, whatever ended it; without
    any message none appears.

    Args:
        out: rosbag2 folder to create, as MCAP.
        topics: name -> type, such as ``{"/mapt/panoptic": "mapt_ros/msg/PanopticFrame"}``.
        latched: those whose last message before the recording is wanted; only for publishers that latch.

    Attributes:
        counts: messages so far, by topic.

    Raises:
        InputError: ``out`` exists already or cannot be written.
    """

    def __init__(self, out: Path, topics: Mapping[str, str], *, latched: Collection[str] = ()) -> None:
        self.counts = dict.fromkeys(topics, 0)
        self._topics = dict(topics)
        self._latched = latched
        self._changed = threading.Condition()
        self._problem: Exception | None = None
        self._stack = ExitStack()
        self._subscriptions = []
        self._bag = StagedBag(out)

    def __enter__(self) -> "Recorder":  # noqa: PYI034 - typing.Self needs Python 3.11
        try:
            node = self._stack.enter_context(participant("mapt_recorder"))
            for topic, msgtype in self._topics.items():
                qos = QoSProfile(
                    history=HistoryPolicy.KEEP_ALL,
                    reliability=ReliabilityPolicy.RELIABLE,
                    durability=(
                        DurabilityPolicy.TRANSIENT_LOCAL if topic in self._latched else DurabilityPolicy.VOLATILE
                    ),
                )
                self._subscriptions.append(
                    node.create_subscription(
                        message_class(msgtype), topic, lambda data, t=topic: self._write(t, data), qos, raw=True
                    )
                )
        except BaseException:
            self._stack.close()
            self._bag.discard()
            raise
        return self

    def __exit__(self, kind, value, traceback) -> None:
        self._subscriptions = []
        self._stack.close()
        if self._problem is not None or not any(self.counts.values()):
            self._bag.discard()
        else:
            self._bag.commit()
        if self._problem is not None and kind is None:
            raise self._problem

    def wait_for_publishers(self, timeout_s: float) -> bool:
        """Waits until every topic has a publisher; whether they came in time."""
        deadline = time.monotonic() + timeout_s
        while any(subscription.get_publisher_count() == 0 for subscription in self._subscriptions):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def wait_for(self, topic: str, count: int, timeout_s: float) -> bool:
        """Waits until so many messages of a topic are recorded; whether they came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.counts[topic] >= count or self._problem, timeout_s) is True

    def _write(self, topic: str, data: bytes) -> None:
        try:
            self._bag.write_serialized(topic, self._topics[topic], data, time.time_ns())
        except Exception as error:  # noqa: BLE001 - raised again where the context is left
            self._problem = self._problem or error
        with self._changed:
            self.counts[topic] += self._problem is None
            self._changed.notify_all()
