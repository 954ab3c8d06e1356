"""The node under `ros2 launch` on a full ROS installation: it comes up, answers a lifecycle service, and ends cleanly.

Runs under `colcon test`, `launch_test` and pytest; without launch_testing (ROS wheels from PyPI lack it) pytest skips it.
"""

import os
import unittest

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is not installed; it comes with a full ROS 2 installation")

from mapt_ros.ros.domain import claim_domain

# Before rclpy reads them: a domain of this process alone.
os.environ["ROS_DOMAIN_ID"] = str(claim_domain())
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import launch_testing
import launch_testing.actions
import launch_testing.asserts
import rclpy
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState

from mapt_ros.resources import resource

PATIENCE_S = 60.0


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(resource("launch/mapt.launch.py"))),
        # Weights are not what this test is about.
        launch_arguments={"autostart": "false", "device": "cpu", "namespace": "car"}.items(),
    )
    return LaunchDescription([node, launch_testing.actions.ReadyToTest()])


class TestNode(unittest.TestCase):
    def test_waits_unconfigured_in_its_namespace(self):
        context = rclpy.Context()
        rclpy.init(context=context)
        client = rclpy.create_node("client", context=context)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(client)
        try:
            service = client.create_client(GetState, "/car/mapt/get_state")
            self.assertTrue(service.wait_for_service(PATIENCE_S), "no /car/mapt/get_state")
            future = service.call_async(GetState.Request())
            executor.spin_until_future_complete(future, PATIENCE_S)
            self.assertEqual(future.result().current_state.id, State.PRIMARY_STATE_UNCONFIGURED)
        finally:
            executor.shutdown()
            client.destroy_node()
            rclpy.shutdown(context=context)


@launch_testing.post_shutdown_test()
class TestShutdown(unittest.TestCase):
    def test_interrupt_ends_the_node_without_an_error(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)

    def test_interrupt_leaves_no_traceback(self, proc_output):
        text = b"".join(output.text for output in proc_output).decode()
        self.assertNotIn("Traceback", text)
