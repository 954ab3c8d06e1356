"""config/mapt.rviz shows what the node sends: each display's topic, type, quality of service and frame, as RViz takes them."""

from inspect import signature
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy")

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from sensor_msgs.msg import CameraInfo, Image
from visualization_msgs.msg import MarkerArray

from mapt_ros.replay.bags import BagWriter
from mapt_ros.resources import resource

TYPES = {"rviz_default_plugins/Image": Image, "rviz_default_plugins/MarkerArray": MarkerArray}
STAMP_NS = 1_317_046_464 * 10**9


@pytest.fixture(scope="module")
def rviz() -> dict:
    return yaml.safe_load(Path(resource("config/mapt.rviz")).read_text())["Visualization Manager"]


def quality(topic: dict) -> QoSProfile:
    """The subscription's quality of service as RViz makes it from a display's settings."""
    name = {key: value.upper().replace(" ", "_") for key, value in topic.items() if key.endswith("Policy")}
    return QoSProfile(
        depth=topic["Depth"],
        history=HistoryPolicy[name["History Policy"]],
        reliability=ReliabilityPolicy[name["Reliability Policy"]],
        durability=DurabilityPolicy[name["Durability Policy"]],
        liveliness=LivelinessPolicy.AUTOMATIC,
    )


def test_every_display_gets_messages_of_its_type_in_the_fixed_frame(bench, rviz):
    displays = [display for display in rviz["Displays"] if "Topic" in display]
    assert {display["Class"] for display in displays} == set(TYPES)
    node = bench(drop_policy="none")
    camera, info = node.camera(), node.camera(CameraInfo, "/camera_info")
    shown = {}
    for display in displays:
        topic, kind = display["Topic"]["Value"], TYPES[display["Class"]]
        node.wait_until(lambda t=topic: node.client.get_publishers_info_by_topic(t), topic)
        (publisher,) = node.client.get_publishers_info_by_topic(topic)
        assert publisher.topic_type == f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        compatibility, reason = qos_check_compatible(publisher.qos_profile, quality(display["Topic"]))
        assert compatibility == QoSCompatibility.OK, reason
        assert display["Enabled"] is True
        shown[topic] = node.listen(kind, topic, quality(display["Topic"]))
    for publisher in (node.node._channels[0]._overlay, node.node._channels[0]._markers):
        node.wait_until(lambda p=publisher: p.get_subscription_count() == 1, publisher.topic_name)

    info.publish(CameraInfo(k=[20.0, 0.0, 12.0, 0.0, 20.0, 4.0, 0.0, 0.0, 1.0]))
    node.wait_until(lambda: node.node._channels[0]._camera_matrix is not None, "camera_info")
    image = node.image(STAMP_NS)
    # What `mapt bag write` calls the camera.
    image.header.frame_id = signature(BagWriter.write_image).parameters["frame_id"].default
    camera.publish(image)
    node.wait_until(lambda: all(shown.values()), "something to show")
    fixed = rviz["Global Options"]["Fixed Frame"]
    headers = [m.markers[-1].header if isinstance(m, MarkerArray) else m.header for (m, *_) in shown.values()]
    assert [header.frame_id for header in headers] == [fixed] * len(displays)


def test_ground_lies_as_deep_as_the_cameras_height_says(bench, rviz):
    (grid,) = [display for display in rviz["Displays"] if display["Class"].endswith("/Grid")]
    assert grid["Offset"]["Y"] == bench(autostart=False).node.get_parameter("camera_height").value
