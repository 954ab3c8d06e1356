"""What the node itself costs: rate and latency over DDS with a network that does nothing, beside a bare relay.

    python -m benchmarks.node [--frames 500] [--size 375x1242] [--in-flight 4] [--json FILE]
    FASTDDS_BUILTIN_TRANSPORTS=DEFAULT python -m benchmarks.node      the same with Fast DDS as it comes

One process sends bgr8 images and hears PanopticFrames, another is the node, each on a core of its own. The sender is as
lean as rclpy allows, so that the rate is the other side's: it publishes bytes that are serialized already, keeps answers
serialized but for their stamps, and has one thread. A round trip is the time from before an image is published until its
answer has been taken; both ways over DDS are in it. The relay is the least that any Python node does: it hears an image
and publishes a ready PanopticFrame of the same size with the image's header.
"""

import argparse
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from mapt_ros.msg import PanopticFrame
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from benchmarks.command import start
from benchmarks.soak.rig import PATIENCE_S, START_NS, NodeProcess, image, node
from mapt_ros.errors import InputError
from mapt_ros.ros.domain import use_own_domain
from mapt_ros.ros.participant import participant
from mapt_ros.ros.transport import use_large_shared_memory
from mapt_ros.threads import keep_memory

_PERIOD_NS = 10_000_000
_LATENCIES_KEPT = 200  # by the node's diagnostics, which must hear of single images only
_PAUSE_S = 0.03  # between single images, so that each finds an idle node
_STAMP = struct.Struct("<iI")  # where both messages begin, behind CDR's four bytes; x86-64 and Arm are little-endian
_EVERY_ONE = QoSProfile(history=HistoryPolicy.KEEP_ALL, reliability=ReliabilityPolicy.RELIABLE)


def main() -> None:
    """Prints a table in Markdown, and writes the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--size", default="375x1242")
    parser.add_argument("--in-flight", type=int, default=4, help="images on their way at the same time")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--relay", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    if options.relay:
        keep_memory()
        relay(height, width)
        return
    use_own_domain()
    keep_memory()
    results, own = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        parties = {"bare relay": lambda: _relay_process(options.size), "node": lambda: node(Path(folder))}
        for name, party in parties.items():
            results[name], own[name] = measure(party, height, width, options.frames, options.in_flight)
    print(f"{options.frames} images of {options.size} bgr8, {options.in_flight} in flight\n")
    print("| | Hz | CPU ms a frame | of the sender | round trip ms, p50 | p95 |\n| --- |" + " ---: |" * 5)
    for name, numbers in results.items():
        print(f"| {name} | {' | '.join(f'{value:.1f}' for value in numbers.values())} |")
    ours, bare = results["node"], results["bare relay"]
    added = ours["round_trip_ms_p95"] - bare["round_trip_ms_p95"]
    print(f"\nOf single images' round trips the node itself has, in ms at p95: {own['node']}")
    print(f"\nThe node reaches {ours['hz'] / bare['hz']:.2f} of the relay's rate and adds {added:.1f} ms at p95.")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def measure(party: Callable, height: int, width: int, frames: int, in_flight: int) -> tuple[dict[str, float], str]:
    """Rate and CPU time a frame with several images on their way, then round trips of single images.

    Returns:
        The numbers, and what the other side's diagnostics say of the stages in it; empty if it has none.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    cores = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, cores[-1:])  # which the other process inherits, and each of its threads
        with party() as process:
            os.sched_setaffinity(0, cores[:1])
            with camera(pixels) as client:
                numbers, stages = _measure(client, process, frames, in_flight), client.stages()
            process.end()
    finally:
        os.sched_setaffinity(0, cores)
    return numbers, stages


def _measure(client: "Camera", process: NodeProcess, frames: int, in_flight: int) -> dict[str, float]:
    client.connect()
    number = client.send(range(frames // 5), in_flight)  # warms both sides up
    begun_s, begun_cpu_s, begun_own_s = time.monotonic(), process.cpu_s(), time.process_time()
    number = client.send(range(number, number + frames), in_flight)
    seconds, cpu_s, own_s = time.monotonic() - begun_s, process.cpu_s() - begun_cpu_s, time.process_time() - begun_own_s
    round_trips = []
    for single in range(number, number + max(frames // 2, _LATENCIES_KEPT)):
        time.sleep(_PAUSE_S)
        sent_s = time.monotonic()
        client.send(range(single, single + 1), 1)
        round_trips.append((time.monotonic() - sent_s) * 1e3)
    p50, p95 = np.percentile(round_trips, (50, 95))
    return {
        "hz": frames / seconds,
        "cpu_ms": cpu_s / frames * 1e3,
        "sender_cpu_ms": own_s / frames * 1e3,
        "round_trip_ms_p50": float(p50),
        "round_trip_ms_p95": float(p95),
    }


class Camera:
    """Sends one picture under ever new stamps and counts the answers, all in the caller's thread."""

    def __init__(self, ros: Node, spin: Callable[[float], object], pixels: np.ndarray) -> None:
        message = image(0, pixels=pixels, encoding="bgr8")
        serialized = serialize_message(message)
        self._head, self._tail = serialized[:4], serialized[4 + _STAMP.size :]
        self._spin = spin
        self._answers = 0
        self._last_stamp = (0, 0)
        self._reports = 0
        self._stages = ""
        self._publisher = ros.create_publisher(Image, "/image", 100)
        ros.create_subscription(PanopticFrame, "/mapt/panoptic", self._on_answer, _EVERY_ONE, raw=True)
        ros.create_subscription(DiagnosticArray, "/diagnostics", self._on_report, 10)

    def connect(self) -> None:
        """Sends images until one is answered: both ends find each other at different moments.

        Raises:
            InputError: nobody answers.
        """
        for number in range(400):
            self._publish(1 + number)
            if self._wait_for(1, 0.5):
                self._idle(1.0)
                self._answers = 0
                return
        raise InputError("benchmarks.node: no answer to 400 images")

    def send(self, numbers: range, in_flight: int) -> int:
        """Sends the images with these numbers, no more than so many ahead of the answers; returns the next number.

        Raises:
            InputError: an answer is missing.
        """
        before = self._answers
        for count, number in enumerate(numbers):
            stamp = self._publish(START_NS + number * _PERIOD_NS)
            if not self._wait_for(before + count + 2 - in_flight, PATIENCE_S):
                raise InputError(f"benchmarks.node: image {number} was not answered")
        if not self._wait_for(before + len(numbers), PATIENCE_S) or self._last_stamp != stamp:
            raise InputError("benchmarks.node: the last image was not answered")
        return numbers.stop

    def stages(self) -> str:
        """What diagnostics that are yet to come say of the stages; empty if there are none."""
        seen, deadline_s = self._reports, time.monotonic() + PATIENCE_S
        while seen and self._reports < seen + 2 and time.monotonic() < deadline_s:
            self._spin(0.5)
        return self._stages

    def _publish(self, stamp_ns: int) -> tuple[int, int]:
        stamp = divmod(stamp_ns, 10**9)
        self._publisher.publish(self._head + _STAMP.pack(*stamp) + self._tail)
        return stamp

    def _wait_for(self, answers: int, wait_s: float) -> bool:
        deadline_s = time.monotonic() + wait_s
        while self._answers < answers and (left_s := deadline_s - time.monotonic()) > 0:
            self._spin(left_s)
        return self._answers >= answers

    def _idle(self, seconds: float) -> None:
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._spin(left_s)

    def _on_answer(self, serialized: bytes) -> None:
        self._last_stamp = _STAMP.unpack_from(serialized, 4)
        self._answers += 1

    def _on_report(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            if status.name == "mapt: camera" and "total_ms_p95" in values:
                self._stages = ", ".join(
                    f"{s} {values[f'{s}_ms_p95']}" for s in ("decode", "track", "publish", "total")
                )
        self._reports += 1


@contextmanager
def camera(pixels: np.ndarray) -> Iterator[Camera]:
    """A camera that shows HxWx3 uint8 pixels, and lives as long as the context."""
    use_large_shared_memory()
    context = Context()
    rclpy.init(context=context, args=[])
    ros = Node("camera", context=context, start_parameter_services=False, enable_rosout=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(ros)
    try:
        yield Camera(ros, executor.spin_once, pixels)
    finally:
        executor.shutdown()
        ros.destroy_node()
        rclpy.shutdown(context=context, uninstall_handlers=False)


@contextmanager
def _relay_process(size: str) -> Iterator[NodeProcess]:
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.node", "--relay", "--size", size])
    try:
        yield NodeProcess(process, Path("/dev/null"))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def relay(height: int, width: int) -> None:
    """Answers every image with one and the same label map, until it is interrupted."""
    answer = PanopticFrame(label_divisor=1000)
    answer.labels = Image(height=height, width=width, encoding="32SC1", step=4 * width)
    answer.labels.data = array("B", bytes(4 * height * width))
    with participant("relay") as ros:
        publisher = ros.create_publisher(PanopticFrame, "/mapt/panoptic", 100)

        def reply(heard: Image) -> None:
            answer.header = heard.header
            publisher.publish(answer)

        ros.create_subscription(Image, "/image", reply, 100)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    start(main)
