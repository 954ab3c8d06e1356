"""What the node itself costs: rate and latency over DDS with a network that does nothing, beside a bare relay.

    python -m benchmarks.node [--frames 500] [--size 375x1242] [--in-flight 4] [--json FILE]
    FASTDDS_BUILTIN_TRANSPORTS=DEFAULT python -m benchmarks.node      the same with Fast DDS as it comes

One process sends bgr8 images and hears PanopticFrames, another is the node. The relay is the least that any Python node
does: it hears an image and publishes a ready PanopticFrame of the same size with the image's header.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from mapt_ros.msg import PanopticFrame
from sensor_msgs.msg import Image

from benchmarks.soak.rig import START_NS, Client, NodeProcess, client, image, node
from mapt_ros.errors import InputError
from mapt_ros.ros.domain import use_own_domain
from mapt_ros.ros.participant import participant

_PERIOD_NS = 10_000_000
_PAUSE_S = 0.03  # between single images, so that each finds an idle node


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
        relay(height, width)
        return
    use_own_domain()
    results, own = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        parties = {"bare relay": lambda: _relay_process(options.size), "node": lambda: node(Path(folder))}
        for name, party in parties.items():
            results[name], own[name] = measure(party, height, width, options.frames, options.in_flight)
    print(f"{options.frames} images of {options.size} bgr8, {options.in_flight} in flight\n")
    print("| | Hz | CPU ms a frame | round trip ms, p50 | p95 |\n| --- |" + " ---: |" * 4)
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
    message = image(0, pixels=pixels, encoding="bgr8")
    with party() as process, client() as camera:
        _connect(camera, message)
        number = _send(camera, message, range(frames // 5), in_flight)  # warms both sides up
        begun_s, begun_cpu_s = time.monotonic(), process.cpu_s()
        number = _send(camera, message, range(number, number + frames), in_flight)
        hz = frames / (time.monotonic() - begun_s)
        cpu_ms = (process.cpu_s() - begun_cpu_s) / frames * 1e3
        round_trips = []
        for single in range(number, number + frames // 2):
            time.sleep(_PAUSE_S)
            sent_s = time.monotonic()
            _send(camera, message, range(single, single + 1), 1)
            round_trips.append((camera.answers[-1].heard_s - sent_s) * 1e3)
        values = camera.camera_values() if camera.diagnostics else {}
        process.end(signal.SIGINT)
    stages = ", ".join(f"{s} {values[f'{s}_ms_p95']}" for s in ("decode", "track", "publish", "total") if values)
    p50, p95 = np.percentile(round_trips, (50, 95))
    numbers = {"hz": hz, "cpu_ms": cpu_ms, "round_trip_ms_p50": float(p50), "round_trip_ms_p95": float(p95)}
    return numbers, stages


def _connect(camera: Client, message: Image) -> None:
    for number in range(400):  # both ends find each other at different moments
        _stamp(message, 1 + number)
        camera.send(message)
        if camera.wait_for_answers(1, 0.5):
            time.sleep(1.0)
            camera.answers.clear()
            return
    raise InputError("benchmarks.node: no answer to 400 images")


def _send(camera: Client, message: Image, numbers: range, in_flight: int) -> int:
    """Sends the images with these numbers, no more than so many ahead of the answers; returns the next number."""
    for number in numbers:
        _stamp(message, START_NS + number * _PERIOD_NS)
        camera.send(message)
        if not camera.wait_for_answers(number + 2 - in_flight):
            raise InputError(f"benchmarks.node: image {number} was not answered")
    camera.wait_for_answers(numbers.stop)
    return numbers.stop


def _stamp(message: Image, stamp_ns: int) -> None:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)


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
    main()
