"""The node under `ros2 launch` on a full ROS installation: it comes up, tracks a bag twice, resets, and ends cleanly.

Runs under `colcon test`, `launch_test` and pytest; without launch_testing (ROS wheels from PyPI lack it) pytest skips it,
and test/ros/test_node_process.py makes the same checks on plain processes.
"""

import os
import tempfile
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is not installed; it comes with a full ROS 2 installation")

from mapt_ros.ros.domain import claim_domain

# Before rclpy reads them: a domain of this process alone.
os.environ["ROS_DOMAIN_ID"] = str(claim_domain())
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import launch_testing
import launch_testing.actions
import launch_testing.asserts
import numpy as np
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from mapt_ros.replay.bags import BagWriter
from mapt_ros.resources import resource
from mapt_ros.ros.rehearsal import rehearse

FRAMES = 5
PATIENCE_S = 120.0


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as parameters:
        parameters.write("/**:\n  ros__parameters: {drop_policy: none}\n")
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(resource("launch/mapt.launch.py"))),
        launch_arguments={
            "params_file": parameters.name,
            "device": "cpu",
            "namespace": "car",
            "image_topic": "/camera/image",
        }.items(),
    )
    return LaunchDescription([node, launch_testing.actions.ReadyToTest()])


class TestNode(unittest.TestCase):
    def test_tracks_a_bag_and_the_next_one_and_resets(self):
        with tempfile.TemporaryDirectory() as folder:
            bag = Path(folder) / "drive"
            noise = np.random.default_rng(0)
            with BagWriter(bag, topic="/camera/image") as writer:
                for number in range(FRAMES):
                    picture = noise.integers(0, 256, (48, 96, 3), dtype=np.uint8)
                    writer.write_image(picture, 1_317_046_464 * 10**9 + number * 3 * 10**8)
            result = rehearse(bag, node="/car/mapt", wait_s=PATIENCE_S)
        self.assertEqual(result["frames"], [FRAMES] * 3)


@launch_testing.post_shutdown_test()
class TestShutdown(unittest.TestCase):
    def test_interrupt_ends_the_node_without_an_error(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)

    def test_interrupt_leaves_no_traceback(self, proc_output):
        text = b"".join(output.text for output in proc_output).decode()
        self.assertNotIn("Traceback", text)
