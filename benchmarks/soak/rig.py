"""The node in a process of its own, and a client that sends it images and hears its answers and diagnostics."""

import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from mapt_ros.msg import PanopticFrame
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from mapt_ros.errors import InputError
from mapt_ros.replay.bags import BagWriter
from mapt_ros.ros.conversions import stamp_to_ns
from mapt_ros.ros.participant import participant

SECOND = 10**9
START_NS = 1_700_000_000 * SECOND
PERIOD_NS = SECOND // 10
SIZE = 48, 64  # height, width
PATIENCE_S = 60.0  # only what is lost is waited for that long
_CAMERA = "camera"
_EVERY_ONE = QoSProfile(history=HistoryPolicy.KEEP_ALL, reliability=ReliabilityPolicy.RELIABLE)


class Answer(NamedTuple):
    """What is kept of a PanopticFrame; ``heard_s`` is when it came, in monotonic seconds."""

    stamp_ns: int
    frame_id: str
    epoch: int
    sequence: int
    ids: tuple[int, ...]
    heard_s: float


class NodeProcess:
    """The node under test as an operating-system process."""

    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self.process = process
        self.log = log

    def memory_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def files(self) -> int:
        """Open file descriptors."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_s(self) -> float:
        """CPU time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Exit code, and seconds from the signal to the end."""
        begun_s = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S), time.monotonic() - begun_s


@contextmanager
def node(folder: Path, *, network: str = "nothing", **parameters) -> Iterator[NodeProcess]:
    """Starts the node; ``network`` is ``nothing`` or weights. Its log is ``node.log`` in the folder."""
    module = ["benchmarks.soak.nothing"] if network == "nothing" else ["mapt_ros.cli"]
    parameters = {"drop_policy": "none", "queue_depth": 100, **parameters}
    if network != "nothing":
        parameters["weights"] = network
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={_ros(value)}")]
    log = folder / "node.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module, "node", "--ros-args", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "RCUTILS_COLORIZED_OUTPUT": "0"},
        )
    try:
        yield NodeProcess(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


class Client:
    """Sends images to ``/image`` and keeps what the node says.

    Attributes:
        answers: in the order they came.
        diagnostics: status name -> (level, message, values) of the latest report.
    """

    def __init__(self, ros: Node) -> None:
        self.ros = ros
        self.answers: list[Answer] = []
        self.diagnostics: dict[str, tuple[int, str, dict[str, str]]] = {}
        self.reports = 0
        self._clients = {}
        self._changed = threading.Condition()
        self._publisher = ros.create_publisher(Image, "/image", 100)
        ros.create_subscription(PanopticFrame, "/mapt/panoptic", self._on_answer, _EVERY_ONE)
        ros.create_subscription(DiagnosticArray, "/diagnostics", self._on_report, 10)

    def wait_for_node(self) -> None:
        """Until images reach the node and its answers reach us."""
        self.until(lambda: self._publisher.get_subscription_count() > 0, "the node's subscription", 4 * PATIENCE_S)
        self.until(lambda: "mapt: node state" in self.diagnostics, "the node's diagnostics")
        self.until(lambda: self.ros.count_publishers("/mapt/panoptic") > 0, "the node's publisher")
        # Both ends find each other at different moments: ask until there is an answer.
        for number in range(200):
            self.send(image(1 + number, frame_id="warm up"))
            with self._changed:
                if self._changed.wait_for(lambda: self.answers, 0.5):
                    break
        else:
            raise InputError("the node does not answer")
        time.sleep(1.0)
        self.answers.clear()

    def send(self, message: Image) -> None:
        self._publisher.publish(message)

    def answered(self, stamp_ns: int, wait_s: float = PATIENCE_S) -> bool:
        """Waits for the answer to a stamp; whether it came."""
        with self._changed:
            return self._changed.wait_for(lambda: any(a.stamp_ns == stamp_ns for a in self.answers[-200:]), wait_s)

    def wait_for_answers(self, count: int, wait_s: float = PATIENCE_S) -> bool:
        """Waits for so many; whether they came."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.answers) >= count, wait_s)

    def until(self, condition, what: str, wait_s: float = PATIENCE_S) -> None:
        """Waits for something.

        Raises:
            InputError: it never came.
        """
        deadline = time.monotonic() + wait_s
        while not condition():
            if time.monotonic() > deadline:
                raise InputError(f"never came: {what}")
            time.sleep(0.02)

    def call(self, kind, service: str, request):
        """The answer of a service."""
        if service not in self._clients:
            self._clients[service] = self.ros.create_client(kind, service)
        if not self._clients[service].wait_for_service(PATIENCE_S):
            raise InputError(f"no service {service}")
        future = self._clients[service].call_async(request)
        self.until(future.done, f"the answer of {service}")
        return future.result()

    def camera_values(self) -> dict[str, str]:
        """The camera's diagnostics as of a report that is yet to come."""
        seen = self.reports
        self.until(lambda: self.reports > seen + 1, "diagnostics")
        return self.diagnostics.get(f"mapt: {_CAMERA}", (0, "", {}))[2]

    def _on_answer(self, message: PanopticFrame) -> None:
        answer = Answer(
            stamp_to_ns(message.header),
            message.header.frame_id,
            message.epoch,
            message.sequence,
            tuple(i.track_id for i in message.instances),
            time.monotonic(),
        )
        with self._changed:
            self.answers.append(answer)
            self._changed.notify_all()

    def _on_report(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name] = (
                status.level[0],
                status.message,
                {value.key: value.value for value in status.values},
            )
        self.reports += 1


@contextmanager
def client() -> Iterator[Client]:
    """A client that lives as long as the context."""
    with participant("soak") as ros:
        yield Client(ros)


def image(stamp_ns: int, *, pixels: np.ndarray | None = None, frame_id: str = "camera", **fields) -> Image:
    """An rgb8 image message; ``fields`` overwrite what would be right."""
    pixels = np.full((*SIZE, 3), 90, np.uint8) if pixels is None else pixels
    height, width = pixels.shape[:2]
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width, data=array("B", pixels.tobytes()))
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, SECOND)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def write_drive(bag: Path, frames: int) -> Path:
    """A bag of so many images at 10 Hz, from ``START_NS`` on."""
    with BagWriter(bag, topic="/image") as writer:
        for number in range(frames):
            writer.write_image(np.full((*SIZE, 3), number, np.uint8), START_NS + number * PERIOD_NS)
    return bag


@contextmanager
def player(bag: Path, *, loop: int) -> Iterator[subprocess.Popen]:
    """``mapt bag play`` as a process that plays a bag over and over, as fast as the node answers."""
    command = [sys.executable, "-m", "mapt_ros.cli", "bag", "play", str(bag), "--rate", "0", "--loop", str(loop)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _ros(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
