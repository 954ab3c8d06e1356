"""Bags come out over DDS as they were recorded, and at rate 0 no frame is lost."""

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from mapt_ros.errors import InputError
from mapt_ros.replay.bags import BagWriter, StagedBag, image_message
from mapt_ros.ros.conversions import decode_image
from mapt_ros.ros.player import play_bag

STEP_NS = 100_000_000
STAMPS = [1_317_046_464 * 10**9 + i * STEP_NS for i in range(12)]


def picture(number: int) -> np.ndarray:
    return np.full((16, 24, 3), 10 * number, np.uint8)


@pytest.fixture
def ros2_bag(tmp_path):
    with BagWriter(tmp_path / "drive", topic="/image") as writer:
        for number, stamp in enumerate(STAMPS):
            writer.write_camera_info(24, 16, stamp, projection=np.eye(3, 4) * 20)
            writer.write_image(picture(number), stamp)
    return tmp_path / "drive"


@pytest.fixture
def ros1_bag(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    path = tmp_path / "drive.bag"
    writer = Ros1Writer(path)
    writer.chunk_threshold = 1  # every message is on disk by itself
    with writer:
        connection = writer.add_connection("/image", "sensor_msgs/msg/Image", typestore=store)
        for number, stamp in enumerate(STAMPS):
            time = types["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))
            header = types["std_msgs/msg/Header"](number, time, "camera")
            image = types["sensor_msgs/msg/Image"](header, 16, 24, "rgb8", 0, 72, picture(number).reshape(-1))
            writer.write(connection, stamp, store.serialize_ros1(image, "sensor_msgs/msg/Image"))
    return path


@pytest.mark.parametrize("options", [{"drop_policy": "none"}, {"drop_policy": "newest"}], ids=["none", "newest"])
def test_no_frame_is_lost_as_fast_as_the_node_takes_them(bench, ros2_bag, options):
    node = bench(**options)
    node.wait_until(lambda: node.tracker is not None, "the tracker")
    result = play_bag(ros2_bag, rate=0)
    node.expect(STAMPS)
    assert (result["messages"], result["images"]) == (24, 12)
    assert (result["answered"], result["unanswered"]) == (12, 0)


def test_looped_bag_begins_an_epoch_each_time(bench, ros2_bag):
    node = bench(drop_policy="none")
    assert play_bag(ros2_bag, rate=0, loop=3)["answered"] == 36
    frames = node.expect(STAMPS * 3)
    assert [frame.epoch for frame in frames] == [0] * 12 + [1] * 12 + [2] * 12


@pytest.mark.parametrize("kind", ["ros1_bag", "ros2_bag"])
def test_messages_arrive_as_recorded_with_the_clock_of_the_recording(bench, request, kind):
    node = bench(drop_policy="none")
    images, clocks = node.listen(Image, "/image"), node.listen(Clock, "/clock")
    play_bag(request.getfixturevalue(kind), rate=0)
    node.expect(STAMPS)
    node.wait_until(lambda: len(images) == len(STAMPS), "the images")
    for number, image in enumerate(images):
        assert (image.header.frame_id, image.encoding) == ("camera", "rgb8")
        assert np.array_equal(decode_image(image), picture(number))
    ticks = [tick.clock.sec * 10**9 + tick.clock.nanosec for tick in clocks]
    assert ticks == sorted(ticks) and set(ticks) <= set(STAMPS)


def test_camera_info_travels_with_the_images(bench, ros2_bag):
    node = bench(drop_policy="none")
    infos = node.listen(CameraInfo, "/camera_info")
    play_bag(ros2_bag, rate=10.0)
    node.wait_until(lambda: len(infos) == len(STAMPS), "camera_info")
    assert infos[0].k[0] == 20.0


def test_images_the_node_drops_do_not_stop_the_bag(bench, tmp_path):
    bag = StagedBag(tmp_path / "broken")
    for number, stamp in enumerate(STAMPS):
        message = image_message(picture(number), "rgb8" if number != 5 else "rgb9", stamp, "camera")
        bag.write("/image", message, stamp)
    bag.commit()
    node = bench(drop_policy="none")
    result = play_bag(tmp_path / "broken", rate=0)
    node.expect(STAMPS[:5] + STAMPS[6:])
    assert (result["answered"], result["unanswered"]) == (11, 1)


def test_images_that_no_tracker_takes_are_not_waited_for(bench, tmp_path):
    """A stereo bag on a node of one camera: the other camera's images go out beside its own."""
    bag = StagedBag(tmp_path / "stereo")
    for number, stamp in enumerate(STAMPS):
        for topic in ("/image", "/right/image"):
            bag.write(topic, image_message(picture(number), "rgb8", stamp, topic), stamp)
    bag.commit()
    node = bench(drop_policy="none")
    right = node.listen(Image, "/right/image")
    result = play_bag(tmp_path / "stereo", rate=0)
    node.expect(STAMPS)
    node.wait_until(lambda: len(right) == len(STAMPS), "the other camera's images")
    assert (result["answered"], result["unanswered"]) == (12, 0)


def test_cut_bag_is_played_as_far_as_it_goes(bench, ros1_bag, tmp_path):
    cut = tmp_path / "cut.bag"
    cut.write_bytes(ros1_bag.read_bytes()[: int(ros1_bag.stat().st_size * 0.6)])
    node = bench(drop_policy="none")
    result = play_bag(cut, rate=0)
    node.expect(STAMPS[: result["images"]])
    assert 0 < result["images"] < len(STAMPS)
    assert len(result["warnings"]) == 1 and "cut" in result["warnings"][0]


def test_what_cannot_be_played_is_told_in_one_line(ros2_bag, tmp_path):
    with pytest.raises(InputError, match="nobody subscribes to /image after 0.2 s; start the node first"):
        play_bag(ros2_bag, wait_s=0.2)
    with pytest.raises(InputError, match="nothing: no such file or folder; expected a ROS 1 bag or a rosbag2"):
        play_bag(tmp_path / "nothing")
    with pytest.raises(InputError, match="rate -1"):
        play_bag(ros2_bag, rate=-1)
    with pytest.raises(InputError, match="loop 0"):
        play_bag(ros2_bag, loop=0)
    bag = StagedBag(tmp_path / "infos")
    types = get_typestore(Stores.ROS2_JAZZY).types
    bag.write("/tick", types["std_msgs/msg/Int32"](1), STAMPS[0])
    bag.commit()
    with pytest.raises(InputError, match="no images to play; its topics are /tick"):
        play_bag(tmp_path / "infos")
