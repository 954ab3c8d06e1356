"""Plays a bag through the MAPT node; playing starts when the node is ready, so that it sees the first image.

    ros2 launch mapt_ros replay.launch.py bag:=drive rviz:=true

Takes every argument of mapt.launch.py too. On a computer slower than the bag, the newest image wins;
``mapt track`` is for results on every image.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition


def change_state(transition: int) -> EmitEvent:
    """Asks the launched lifecycle node, the only one there is, for a transition."""
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=lambda action: True, transition_id=transition))


def play(context: LaunchContext) -> list:
    """Brings the node up step by step, then plays."""
    bag, rate, loop = (LaunchConfiguration(name).perform(context) for name in ("bag", "rate", "loop"))
    player = ExecuteProcess(
        cmd=["ros2", "bag", "play", bag, "--clock", "--rate", rate, *(["--loop"] if loop.lower() == "true" else [])],
        output="screen",
    )
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name("mapt.launch.py"))),
        # Started from here instead of by itself: the transitions cannot be over before launch listens to them.
        launch_arguments={"use_sim_time": "true", "autostart": "false"}.items(),
    )
    failed = Shutdown(reason="the node could not be configured; its log says why")
    return [
        RegisterEventHandler(
            OnStateTransition(
                start_state="configuring",
                goal_state="inactive",
                entities=[change_state(Transition.TRANSITION_ACTIVATE)],
            )
        ),
        RegisterEventHandler(
            OnStateTransition(start_state="configuring", goal_state="unconfigured", entities=[EmitEvent(event=failed)])
        ),
        RegisterEventHandler(OnStateTransition(start_state="activating", goal_state="active", entities=[player])),
        node,
        change_state(Transition.TRANSITION_CONFIGURE),
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="rosbag2 to play."),
            DeclareLaunchArgument("rate", default_value="1.0", description="Speed relative to the recording."),
            DeclareLaunchArgument("loop", default_value="false", description="Play it over and over."),
            OpaqueFunction(function=play),
        ]
    )
