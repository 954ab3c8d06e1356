"""A node under test with a client beside it, over real DDS, in domains of this process alone."""

import os
import threading
import time
from array import array
from itertools import cycle

import numpy as np
import pytest

pytest.importorskip("rclpy")

from mapt_ros.ros.domain import claim_domain

# Before rclpy reads them; whatever else speaks ROS on this machine must not be heard here.
DOMAINS = cycle([str(claim_domain()) for _ in range(16)])
os.environ["ROS_DOMAIN_ID"] = next(DOMAINS)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from mapt_ros.msg import PanopticFrame as PanopticFrameMessage
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR
from mapt_ros.ros.node import MaptNode
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState

POISON = (255, 0, 255)  # an image whose first pixel is of this colour makes the stand-in tracker raise
PATIENCE_S = 120.0  # how long a test waits for what must come; only a failing test waits that long


class StandInState:
    """Counts as a TrackerState does."""

    def __init__(self) -> None:
        self.epoch = 0
        self.sequence = 0

    def reset(self) -> None:
        self.epoch += 1
        self.sequence = 0


class StandInTracker:
    """Finds one car in the lower half of every image, when it is let; no network, so that no test waits for one."""

    classes = KITTI_STEP
    device = "cpu"
    weights_name = "stand-in"
    weights_hash = "0123456789ab"

    def __init__(self, **settings) -> None:
        self.settings = TrackerConfig(**{"max_age": 7, **settings})
        self.gate = threading.Event()  # closed: the network is busy
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[int] = []
        self.fails: list[Exception | None] = []  # raised by the next steps, one each

    def new_state(self) -> StandInState:
        return StandInState()

    def step(self, images, states, stamps_ns) -> list[PanopticFrame]:
        self.batches.append(len(images))
        self.entered.release()
        self.gate.wait()
        if self.fails and (error := self.fails.pop(0)):
            raise error
        if any(tuple(image[0, 0]) == POISON for image in images):
            raise RuntimeError("poisoned image\nand a second line nobody needs")
        return [self._frame(*one) for one in zip(images, states, stamps_ns, strict=True)]

    def _frame(self, image: np.ndarray, state: StandInState, stamp_ns: int | None) -> PanopticFrame:
        height, width = image.shape[:2]
        labels = np.zeros((height, width), np.int32)
        labels[height // 2 :] = 13 * LABEL_DIVISOR + 1
        car = TrackedInstance(
            track_id=1,
            class_id=13,
            score=0.9,
            box=(0, height // 2, width, height),
            area=width * (height - height // 2),
            x=width / 2,
            y=height * 0.75,
            vx=1.0,
            vy=0.0,
            age=state.sequence + 1,
            frames_since_seen=0,
            state=TrackState.CONFIRMED,
            association=Association.MOTION if state.sequence else Association.NEW,
            association_score=0.5,
        )
        frame = PanopticFrame(labels, [car], stamp_ns, state.sequence, state.epoch)
        state.sequence += 1
        return frame


def wait_until(condition, what: str) -> None:
    """Waits for ``condition()``; the test fails if it never comes."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.005)


def image_message(stamp_ns: int, *, color=(10, 120, 200), height: int = 16, width: int = 24, **fields) -> Image:
    """A picture of one colour."""
    pixels = np.full((height, width, 3), color, np.uint8)
    message = Image(height=height, width=width, encoding="rgb8", step=width * 3, data=array("B", pixels.tobytes()))
    message.header.frame_id = "camera"
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def stamp_of(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


class Bench:
    """The node under test and a client node, spun by a thread; ``frames`` collects what ``~/panoptic`` sends."""

    def __init__(self, *, tracker_factory=None, args=(), **parameters) -> None:
        self.tracker: StandInTracker | None = None
        self.context = Context()
        rclpy.init(context=self.context, args=["--ros-args", *args] if args else [])
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = MaptNode(
            tracker_factory=tracker_factory or self._load, context=self.context, parameter_overrides=overrides
        )
        self.client = Node("client", context=self.context)
        self.received: dict[str, list] = {}
        self.frames = self.listen(PanopticFrameMessage, "/mapt/panoptic")
        self.reports = self.listen(DiagnosticArray, "/diagnostics")
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.executor.add_node(self.client)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _load(self, weights, *, device, config, **settings) -> StandInTracker:
        self.tracker = StandInTracker(**settings)
        self.tracker.device = device.replace("auto", "cpu")
        return self.tracker

    def _spin(self) -> None:
        self.node.start()
        while not self._stop.is_set():
            try:
                self.executor.spin_once(timeout_sec=0.1)
            except ExternalShutdownException:
                return

    image = staticmethod(image_message)
    stamp_of = staticmethod(stamp_of)
    wait_until = staticmethod(wait_until)

    def listen(self, kind, topic: str, qos=100) -> list:
        """A list that grows with every message of a topic."""
        messages = self.received.setdefault(topic, [])
        self.client.create_subscription(kind, topic, messages.append, qos)
        return messages

    def camera(self, kind=Image, topic: str = "/image", qos=10):
        """A publisher that the node has matched."""
        publisher = self.client.create_publisher(kind, topic, qos)
        wait_until(lambda: publisher.get_subscription_count() > 0, f"the node's subscription of {topic}")
        wait_until(lambda: self.node.count_publishers(topic) > 0, f"the publisher of {topic} at the node")
        return publisher

    def call(self, kind, service: str, request):
        """The answer of a service."""
        client = self.client.create_client(kind, service)
        try:
            assert client.wait_for_service(PATIENCE_S), f"{service}: {self._who_serves(service)}"
            future = client.call_async(request)
            wait_until(future.done, f"the answer of {service}")
            return future.result()
        finally:
            self.executor.create_task(self.client.destroy_client, client)

    def _who_serves(self, service: str) -> list[str]:
        """Who takes a service's requests and who answers, as far as the middleware knows."""
        takers = self.client.get_subscriptions_info_by_topic(f"rq{service}Request", no_mangle=True)
        answerers = self.client.get_publishers_info_by_topic(f"rr{service}Reply", no_mangle=True)
        return [f"{info.node_name} {info.endpoint_type.name}" for info in (*takers, *answerers)]

    def expect(self, stamps, frames=None) -> list:
        """Waits for as many frames as stamps, which must be these in this order."""
        frames = self.frames if frames is None else frames
        wait_until(lambda: len(frames) >= len(stamps), f"{len(stamps)} frames, {len(frames)} came")
        assert [stamp_of(frame) for frame in frames] == list(stamps)
        return frames

    def diagnostic(self, name: str, key: str) -> str | None:
        """The latest value of a key in the diagnostics of one status."""
        for report in reversed(self.reports):
            for status in report.status:
                if status.name == name:
                    return {value.key: value.value for value in status.values}.get(key)
        return None

    def status(self, name: str):
        """The latest diagnostics of one name, level and message included; None before they come."""
        found = [status for report in self.reports[-1:] for status in report.status if status.name == name]
        return found[0] if found else None

    def level(self, name: str) -> bytes | None:
        """The level of those diagnostics."""
        return status.level if (status := self.status(name)) else None

    def close(self) -> None:
        if self.tracker is not None:
            self.tracker.gate.set()
        self._stop.set()
        self.executor.create_task(self._stop.is_set)
        self._thread.join(PATIENCE_S)
        assert self.node.close(PATIENCE_S), "the worker did not end"
        self.executor.shutdown()
        self.node.destroy_node()
        self.client.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture(autouse=True)
def own_domain(monkeypatch):
    """A domain in which no earlier test has been lately: the middleware may not have forgotten its endpoints yet."""
    monkeypatch.setenv("ROS_DOMAIN_ID", next(DOMAINS))


@pytest.fixture
def bench():
    """``bench(**parameters)`` starts a node with these parameters; all are closed at the end."""
    benches = []

    def start(**options) -> Bench:
        benches.append(Bench(**options))
        return benches[-1]

    yield start
    for one in benches:
        one.close()
