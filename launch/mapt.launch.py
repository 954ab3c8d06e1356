"""Starts the MAPT node on one camera, and RViz if asked for.

ros2 launch mapt_ros mapt.launch.py image_topic:=/camera/image_raw camera_info_topic:=/camera/camera_info
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

CONFIG = Path(__file__).parent.parent / "config"

ARGUMENTS = (
    ("image_topic", "image", "Topic of the images; compressed ones are expected under <image_topic>/compressed."),
    ("camera_info_topic", "camera_info", "Topic of the camera's calibration, which the markers need."),
    ("weights", "", "A bundled checkpoint's name or a .safetensors file; empty: as the parameter file says."),
    ("device", "", "auto, cpu, cuda or cuda:N; empty: as the parameter file says."),
    ("autostart", "", "Whether the node configures and activates itself; empty: as the parameter file says."),
    ("params_file", str(CONFIG / "mapt.yaml"), "YAML file with the node's parameters."),
    ("namespace", "", "Namespace of the node and of its relative topics."),
    ("use_sim_time", "false", "Follow /clock, as a replay publishes it."),
    ("rviz", "false", "Also start RViz with the overlay and the markers."),
    ("fixed_frame", "camera", "RViz's fixed frame: the images' frame_id, or any frame that tf connects to it."),
)


def start(context: LaunchContext) -> list:
    """The actions, once the arguments are known."""
    argument = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    overrides = {name: argument[name] for name in ("weights", "device") if argument[name]}
    if argument["autostart"]:
        overrides["autostart"] = is_true(argument["autostart"])
    node = LifecycleNode(
        package="mapt_ros",
        executable="mapt_node",
        name="mapt",
        namespace=argument["namespace"],
        parameters=[argument["params_file"], {"use_sim_time": is_true(argument["use_sim_time"]), **overrides}],
        remappings=[
            ("image", argument["image_topic"]),
            ("image/compressed", f"{argument['image_topic']}/compressed"),
            ("camera_info", argument["camera_info_topic"]),
        ],
        output="screen",
    )
    # The displays name the topics of a node without a namespace.
    prefix = f"/{argument['namespace'].strip('/')}" if argument["namespace"].strip("/") else ""
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(CONFIG / "mapt.rviz"), "-f", argument["fixed_frame"]],
        parameters=[{"use_sim_time": is_true(argument["use_sim_time"])}],
        remappings=[(f"/mapt/{topic}", f"{prefix}/mapt/{topic}") for topic in ("overlay", "markers")],
        condition=IfCondition(argument["rviz"]),
    )
    return [node, rviz]


def is_true(text: str) -> bool:
    """A launch argument as a truth value, as launch's own conditions read it."""
    return text.strip().lower() in ("true", "1")


def generate_launch_description() -> LaunchDescription:
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
