"""The node as a user starts it: its own process, real weights, real signals; its answers are the offline tracker's."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from mapt_ros.msg import PanopticFrame
from sensor_msgs.msg import Image

from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.replay.bags import BagWriter
from mapt_ros.ros.participant import participant
from mapt_ros.ros.player import play_bag
from mapt_ros.ros.recorder import Recorder
from mapt_ros.ros.rehearsal import rehearse

STAMPS = [1_317_046_464 * 10**9 + i * 2 * 10**8 for i in range(6)]  # longer than back_jump_s
START_S = 300  # importing torch on a busy machine


class NodeProcess:
    """``mapt node`` in a process of its own; ``output`` collects both its streams."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "mapt_ros.cli", "node", "--ros-args"]
        for argument in arguments:
            command += ["-p", argument]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "RCUTILS_COLORIZED_OUTPUT": "0", "PYTHONUNBUFFERED": "1"},
        )
        self.output = ""
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._arrived:
                self.output += line
                self._arrived.notify_all()

    def wait_for(self, text: str) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: text in self.output, START_S), self.output

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(120)
        self._reader.join(30)
        return code


@pytest.fixture
def start_node():
    started = []

    def start(*arguments: str) -> NodeProcess:
        started.append(NodeProcess(*arguments))
        return started[-1]

    yield start
    for node in started:
        if node.process.poll() is None:
            node.process.kill()
            node.process.wait(30)


@pytest.fixture
def bag(tmp_path):
    rng = np.random.default_rng(0)
    background = rng.integers(0, 256, (40, 72, 3), dtype=np.uint8)
    with BagWriter(tmp_path / "drive", topic="/image") as writer:
        for number, stamp in enumerate(STAMPS):
            picture = background.copy()
            picture[10:30, 5 + 6 * number : 30 + 6 * number] = (200, 40, 30)
            writer.write_image(picture, stamp)
    return tmp_path / "drive"


def test_answers_over_dds_are_those_of_the_offline_tracker(start_node, bag, tiny_weights, tmp_path):
    from mapt_ros.replay.sources import open_sources
    from mapt_ros.tracking.tracker import PanopticTracker

    node = start_node(f"weights:={tiny_weights}", "device:=cpu", "drop_policy:=none", "publish_lost:=true")
    with Recorder(tmp_path / "out", {"/mapt/panoptic": "mapt_ros/msg/PanopticFrame"}) as recorder:
        result = play_bag(bag, rate=0, wait_s=START_S)
        assert recorder.wait_for("/mapt/panoptic", len(STAMPS), 120), node.output
    assert (result["answered"], result["unanswered"]) == (len(STAMPS), 0)

    tracker = PanopticTracker.load(tiny_weights, device="cpu", publish_lost=True)
    (source,) = open_sources(bag, None)
    received = list(BagReader(tmp_path / "out").messages("/mapt/panoptic"))
    for frame, (_, got) in zip(source, received, strict=True):
        expected = tracker(frame.image, stamp_ns=frame.stamp_ns)
        assert got.header.stamp.sec * 10**9 + got.header.stamp.nanosec == frame.stamp_ns
        assert got.labels.data.tobytes() == expected.labels.tobytes()
        assert (got.sequence, got.epoch) == (expected.sequence, expected.epoch)
        assert len(got.instances) == len(expected.instances)
        for there, here in zip(got.instances, expected.instances, strict=True):
            box = there.box
            assert (box.x_offset, box.y_offset, box.x_offset + box.width, box.y_offset + box.height) == here.box
            assert (there.track_id, there.class_id, there.area) == (here.track_id, here.class_id, here.area)
            assert (there.state, there.association) == (here.state, here.association)
            assert there.score == np.float32(here.score) and there.vx == np.float32(here.vx)
    assert any(message.instances for _, message in received)

    assert node.end(signal.SIGTERM) == 0
    # On a slow machine the player comes and goes later than a camera may.
    warnings = [line for line in node.output.splitlines() if "WARN" in line and "no images for" not in line]
    assert "Traceback" not in node.output and not warnings, node.output


def test_node_tracks_a_bag_and_the_next_one_and_resets(start_node, bag, tiny_weights):
    """What test/launch/test_node_launch.py checks under `ros2 launch`."""
    node = start_node(f"weights:={tiny_weights}", "device:=cpu", "drop_policy:=none")
    result = rehearse(bag, wait_s=START_S)
    assert result["frames"] == [len(STAMPS)] * 3
    assert result["tracks"][0] == result["tracks"][1] == result["tracks"][2] > 0
    assert node.end(signal.SIGTERM) == 0
    assert "Traceback" not in node.output


def test_ctrl_c_ends_a_busy_node_without_a_traceback(start_node, tiny_weights):
    node = start_node(f"weights:={tiny_weights}", "device:=cpu")
    node.wait_for("images from /image")
    with participant("camera") as camera:
        frames = []
        camera.create_subscription(PanopticFrame, "/mapt/panoptic", frames.append, 10)
        publisher = camera.create_publisher(Image, "/image", 10)
        stamp_ns = STAMPS[0]
        while len(frames) < 3 and node.process.poll() is None:
            stamp_ns += 10**7
            message = Image(height=96, width=160, encoding="rgb8", step=480, data=bytes(96 * 480))
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
            publisher.publish(message)
            time.sleep(0.01)
        assert node.end(signal.SIGINT) == 0
    for word in ("Traceback", "Error", "terminate", "core dumped"):
        assert word not in node.output, node.output


def test_missing_weights_are_told_in_one_line_and_the_node_waits(start_node, tmp_path):
    node = start_node(f"weights:={tmp_path / 'none.safetensors'}")
    node.wait_for("configure failed")
    (line,) = [line for line in node.output.splitlines() if "loading weights" not in line]
    assert "[mapt]: configure failed: " in line and "none.safetensors: no such weights file" in line
    assert node.end(signal.SIGTERM) == 0
    assert "Traceback" not in node.output


def test_signal_while_the_weights_load_ends_the_node(start_node, tiny_weights):
    node = start_node(f"weights:={tiny_weights}")
    node.wait_for("loading weights")
    assert node.end() == 0
    assert "Traceback" not in node.output


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("score_threshold:=2.0", "score_threshold out of range"),
        ("queue_depth:=many", "queue_depth"),
        ("association:=magic", "parameter association: 'magic' is not one of combined"),
        ("cameras:=['front', 'front']", "parameter cameras: front, front names a camera twice"),
    ],
)
def test_impossible_parameter_is_told_in_one_line_with_exit_code_2(start_node, argument, words):
    node = start_node(argument)
    assert node.wait() == 2
    (line,) = node.output.strip().splitlines()
    assert line.startswith("mapt: ") and words in line
