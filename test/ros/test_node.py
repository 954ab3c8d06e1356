"""The node between real topics: what comes in, what goes out, and what it survives."""

from array import array

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from mapt_ros.msg import ClassMap
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import Marker, MarkerArray

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.ros import channel

MS = 10**6
START = 1_317_046_464 * 10**9  # stamps of 2011 must not disturb anything
STAMPS = [START + i * 100 * MS for i in range(30)]


def test_every_image_comes_back_as_a_frame_under_its_own_header(bench):
    node = bench(drop_policy="none", queue_depth=20)
    camera = node.camera()
    for stamp in STAMPS[:10]:
        camera.publish(node.image(stamp))
    frames = node.expect(STAMPS[:10])
    assert [frame.sequence for frame in frames] == list(range(10))
    for frame in frames:
        assert (frame.header.frame_id, frame.camera, frame.epoch) == ("camera", "", 0)
        assert frame.processing_ms > 0
        assert frame.label_divisor == LABEL_DIVISOR
        labels = np.frombuffer(frame.labels.data, np.int32).reshape(frame.labels.height, frame.labels.width)
        assert (labels[:8] == 0).all() and (labels[8:] == 13 * LABEL_DIVISOR + 1).all()
        assert [i.track_id for i in frame.instances] == [1]


def test_newest_image_wins_while_the_network_is_busy(bench):
    node = bench()
    camera = node.camera()
    node.tracker.gate.clear()
    camera.publish(node.image(STAMPS[0]))
    assert node.tracker.entered.acquire(timeout=120)
    waiting = node.node._channels[0]
    for stamp in STAMPS[1:5]:
        before = waiting.statistics._received
        camera.publish(node.image(stamp))
        node.wait_until(lambda b=before: waiting.statistics._received > b, "the image at the node")
    node.tracker.gate.set()
    node.expect([STAMPS[0], STAMPS[4]])
    node.wait_until(lambda: node.diagnostic("mapt: camera", "dropped_replaced") == "3", "3 replaced images")


def test_full_queue_is_told_and_counted_with_drop_policy_none(bench, capfd):
    node = bench(drop_policy="none", queue_depth=2)
    camera = node.camera()
    node.tracker.gate.clear()
    camera.publish(node.image(STAMPS[0]))
    assert node.tracker.entered.acquire(timeout=120)
    for stamp in STAMPS[1:4]:
        camera.publish(node.image(stamp))
    node.wait_until(lambda: node.diagnostic("mapt: camera", "dropped_queue_full") == "1", "a refused image")
    node.tracker.gate.set()
    node.expect(STAMPS[:3])
    assert "more than queue_depth = 2 images wait" in capfd.readouterr().err


def test_overlay_labels_and_markers_are_made_only_while_somebody_listens(bench, monkeypatch):
    made = []
    for name in ("draw_overlay", "encode_labels_image", "track_markers"):
        real = getattr(channel, name)
        monkeypatch.setattr(
            channel, name, lambda *args, _name=name, _real=real, **kw: (made.append(_name), _real(*args, **kw))[1]
        )
    node = bench(drop_policy="none", queue_depth=20, overlay_scale=0.5)
    camera, info = node.camera(), node.camera(CameraInfo, "/camera_info")
    info.publish(CameraInfo(k=[20.0, 0.0, 12.0, 0.0, 20.0, 4.0, 0.0, 0.0, 1.0]))
    node.wait_until(lambda: node.node._channels[0]._camera_matrix is not None, "camera_info")
    camera.publish(node.image(STAMPS[0]))
    node.expect(STAMPS[:1])
    assert made == []

    overlays = node.listen(Image, "/mapt/overlay", qos_profile_sensor_data)
    labels = node.listen(Image, "/mapt/labels")
    markers = node.listen(MarkerArray, "/mapt/markers")
    node_channel = node.node._channels[0]
    for publisher in (node_channel._overlay, node_channel._labels, node_channel._markers):
        node.wait_until(lambda p=publisher: p.get_subscription_count() == 1, publisher.topic_name)
    camera.publish(node.image(STAMPS[1]))
    node.wait_until(lambda: overlays and labels and markers, "overlay, labels and markers")
    assert sorted(made) == ["draw_overlay", "encode_labels_image", "track_markers"]
    sent = node.image(STAMPS[1]).header
    assert overlays[0].header == labels[0].header == markers[0].markers[1].header == sent
    assert (overlays[0].encoding, overlays[0].height, overlays[0].width) == ("rgb8", 8, 12)
    assert (labels[0].encoding, labels[0].height, labels[0].width) == ("32SC1", 16, 24)
    assert np.array_equal(labels[0].data, node.frames[-1].labels.data)


def test_classes_reach_a_listener_that_comes_late(bench):
    node = bench()
    node.camera()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    classes = node.listen(ClassMap, "/mapt/classes", latched)
    node.wait_until(lambda: classes, "the class map")
    assert [c.name for c in classes[0].classes if c.is_thing] == ["person", "car"]
    assert (classes[0].weights, classes[0].weights_hash) == ("stand-in", "0123456789ab")
    assert node.stamp_of(classes[0]) == 0  # known before any image


def test_reset_begins_an_epoch_and_clears_the_markers(bench):
    node = bench(drop_policy="none")
    camera = node.camera()
    markers = node.listen(MarkerArray, "/mapt/markers")
    node.wait_until(lambda: node.node._channels[0]._markers.get_subscription_count() == 1, "the markers' subscriber")
    camera.publish(node.image(STAMPS[0]))
    node.expect(STAMPS[:1])
    assert node.call(Trigger, "/mapt/reset", Trigger.Request()).success
    # Without any further image, so that a camera that stopped leaves no ghosts.
    node.wait_until(lambda: markers, "the cleared markers")
    assert [m.action for m in markers[-1].markers] == [Marker.DELETEALL]
    assert markers[-1].markers[0].header == node.image(STAMPS[0]).header  # never now()
    camera.publish(node.image(STAMPS[1]))
    frames = node.expect(STAMPS[:2])
    assert [(frame.epoch, frame.sequence) for frame in frames] == [(0, 0), (1, 0)]


@pytest.mark.parametrize("first", [0, 1000], ids=["a little back", "a whole replay back"])
def test_after_a_reset_any_stamp_may_come_and_the_epoch_grows_once(bench, first):
    node = bench(drop_policy="none")
    camera = node.camera()
    before = [START + (first + stamp) * MS for stamp in (0, 100, 200)]
    after = [START + stamp * MS for stamp in (0, 100, 200, 300)]
    for stamp in before:
        camera.publish(node.image(stamp))
    node.expect(before)
    assert node.call(Trigger, "/mapt/reset", Trigger.Request()).success
    for stamp in after:
        camera.publish(node.image(stamp))
    frames = node.expect(before + after)
    assert [frame.epoch for frame in frames] == [0] * 3 + [1] * 4


def test_disabled_node_ignores_images_until_enabled_again(bench):
    node = bench(drop_policy="none")
    camera = node.camera()
    assert node.call(SetBool, "/mapt/set_enabled", SetBool.Request(data=False)).success
    camera.publish(node.image(STAMPS[0]))
    # The service call travels behind the image through the same executor.
    assert node.call(SetBool, "/mapt/set_enabled", SetBool.Request(data=False)).success
    assert camera.wait_for_all_acked()
    assert node.call(SetBool, "/mapt/set_enabled", SetBool.Request(data=True)).success
    camera.publish(node.image(STAMPS[1]))
    node.expect(STAMPS[1:2])


def test_disabled_node_says_so_instead_of_missing_images(bench):
    node = bench()
    node.camera()
    assert node.call(SetBool, "/mapt/set_enabled", SetBool.Request(data=False)).success
    node.reports.clear()
    node.wait_until(lambda: node.status("mapt: camera"), "diagnostics")
    status = node.status("mapt: camera")
    assert (status.level, status.message) == (DiagnosticStatus.OK, "disabled: images are ignored")


@pytest.mark.parametrize(
    ("stamps", "published", "epochs", "dropped"),
    [
        ([0, 100, 5000 - 4900, 150], [0, 100, 150], [0, 0, 0], {"duplicate": "1"}),
        ([0, 100, 60, 200], [0, 100, 200], [0, 0, 0], {"late": "1"}),
        ([1000, 1100, 0, 100], [1000, 1100, 0, 100], [0, 0, 1, 1], {}),
        ([0, 100, 2200], [0, 100, 2200], [0, 0, 1], {}),
    ],
    ids=["duplicate", "late", "new replay", "gap"],
)
def test_stamps_decide_what_is_dropped_and_what_starts_anew(bench, stamps, published, epochs, dropped):
    node = bench(drop_policy="none")
    camera = node.camera()
    for stamp in stamps:
        camera.publish(node.image(START + stamp * MS))
    frames = node.expect([START + stamp * MS for stamp in published])
    assert [frame.epoch for frame in frames] == epochs
    for cause, count in dropped.items():
        node.wait_until(lambda c=cause, n=count: node.diagnostic("mapt: camera", f"dropped_{c}") == n, cause)


def test_driver_that_never_stamps_is_served_in_arrival_order_counted_and_told_once(bench, capfd):
    node = bench(drop_policy="none")
    camera = node.camera()
    for _ in range(4):
        camera.publish(node.image(0))
    frames = node.expect([0] * 4)
    assert [(frame.epoch, frame.sequence) for frame in frames] == [(0, i) for i in range(4)]
    node.wait_until(lambda: node.diagnostic("mapt: camera", "unstamped") == "4", "4 images without a stamp")
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "without a stamp" in line]
    assert "WARN" in line and "/image: images without a stamp" in line


def test_clock_that_jumps_back_starts_anew_once(bench):
    node = bench(drop_policy="none", use_sim_time=True)
    camera, clock = node.camera(), node.camera(Clock, "/clock")

    def tick(stamp_ns: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(stamp_ns, 10**9)
        clock.publish(message)
        node.wait_until(lambda: node.node.get_clock().now().nanoseconds == stamp_ns, "the clock at the node")

    tick(STAMPS[20])
    camera.publish(node.image(STAMPS[20]))
    node.expect([STAMPS[20]])
    tick(STAMPS[0])
    for stamp in STAMPS[:2]:
        camera.publish(node.image(stamp))
    frames = node.expect([STAMPS[20], *STAMPS[:2]])
    assert [frame.epoch for frame in frames] == [0, 1, 1]


def test_last_images_of_a_replay_that_the_clock_overtook_stay_in_its_epoch(bench, monkeypatch):
    monkeypatch.setattr(channel, "_STRAGGLERS_S", 1000.0)
    node = bench(drop_policy="none", use_sim_time=True)
    camera = node.camera()
    one = node.node._channels[0]
    camera.publish(node.image(STAMPS[20]))
    node.expect([STAMPS[20]])
    one.on_clock_jump(STAMPS[0])
    for stamp in (STAMPS[21], *STAMPS[:2]):
        camera.publish(node.image(stamp))
    frames = node.expect([STAMPS[20], STAMPS[21], *STAMPS[:2]])
    assert [frame.epoch for frame in frames] == [0, 0, 1, 1]
    monkeypatch.setattr(channel, "_STRAGGLERS_S", 0.0)
    one.on_clock_jump(STAMPS[0] - 10**9)  # and no image comes: the tracks are forgotten all the same
    node.wait_until(lambda: node.diagnostic("mapt: camera", "reset_clock_jump") == "2", "the reset without an image")


BROKEN = {
    "encoding": {"encoding": "rgb9"},
    "step": {"step": 24 * 3 - 1},
    "size": {"width": 0},
    "data": {"data": array("B", bytes(10))},
    "length": {"header": Header(frame_id="x" * 256)},
    "failed": {"color": (255, 0, 255)},  # what the stand-in tracker of these tests takes for poison
}


@pytest.mark.parametrize("cause", BROKEN)
def test_bad_image_is_logged_counted_and_survived(bench, capfd, cause):
    node = bench(drop_policy="none", input_timeout_s=1000.0)  # on a slow machine the silence would be a warning too
    camera = node.camera()
    camera.publish(node.image(STAMPS[0], **BROKEN[cause]))
    camera.publish(node.image(STAMPS[1], **BROKEN[cause]))
    camera.publish(node.image(STAMPS[2]))
    node.expect(STAMPS[2:3])
    node.wait_until(lambda: node.diagnostic("mapt: camera", f"dropped_{cause}") == "2", f"2 images dropped for {cause}")
    lines = [line for line in capfd.readouterr().err.splitlines() if "/image" in line and "WARN" in line]
    assert len(lines) == 1, lines
    assert "second line" not in lines[0]
    assert lines[0].split("/image: ")[1] in node.diagnostic("mapt: camera", "last_error")


def test_size_of_the_image_may_change_in_mid_stream(bench):
    node = bench(drop_policy="none")
    camera = node.camera()
    sizes = [(16, 24), (16, 24), (10, 30)]
    for stamp, (height, width) in zip(STAMPS, sizes, strict=False):
        camera.publish(node.image(stamp, height=height, width=width))
    frames = node.expect(STAMPS[:3])
    assert [(frame.labels.height, frame.labels.width) for frame in frames] == sizes


def test_grey_16_bit_and_padded_images_are_tracked(bench):
    node = bench(drop_policy="none")
    camera = node.camera()
    camera.publish(node.image(STAMPS[0], encoding="mono8", step=72))
    camera.publish(node.image(STAMPS[1], encoding="mono16", step=72))
    node.expect(STAMPS[:2])


def test_compressed_transport_reads_the_topic_beside_the_remapped_image(bench):
    node = bench(image_transport="compressed", args=["-r", "image:=/front/image_raw"])
    camera = node.camera(CompressedImage, "/front/image_raw/compressed")
    message = CompressedImage(header=node.image(STAMPS[0]).header, format="jpeg")
    message.data = array("B", cv2.imencode(".jpg", np.zeros((16, 24, 3), np.uint8))[1].tobytes())
    camera.publish(message)
    (frame,) = node.expect(STAMPS[:1])
    assert (frame.labels.height, frame.labels.width) == (16, 24)


def test_overlay_can_be_switched_off_and_on(bench):
    node = bench(drop_policy="none", overlay=False)
    camera = node.camera()
    overlays = node.listen(Image, "/mapt/overlay")
    node.wait_until(lambda: node.node._channels[0]._overlay.get_subscription_count() == 1, "the overlay's subscriber")
    camera.publish(node.image(STAMPS[0]))
    node.expect(STAMPS[:1])
    assert node.node.set_parameters([Parameter("overlay", value=True)])[0].successful
    camera.publish(node.image(STAMPS[1]))
    node.wait_until(lambda: overlays, "the overlay")
    assert [node.stamp_of(overlay) for overlay in overlays] == [STAMPS[1]]


def test_incompatible_quality_of_service_is_told_with_both_sides(bench, capfd):
    node = bench(drop_policy="none")
    node.client.create_publisher(Image, "/image", qos_profile_sensor_data)
    # Not by looking at the output again and again: pytest loses what is written while it reads.
    node.wait_until(
        lambda: node.status("mapt: camera") and "no images because" in node.status("mapt: camera").message,
        "the reason in the diagnostics",
    )
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "no images because" in line]
    assert "/client offers best_effort" in line and "this node asks for reliable" in line
    assert node.status("mapt: camera").message in line


def test_quality_of_service_can_be_overridden(bench):
    node = bench(drop_policy="none", args=["-p", "qos_overrides./image.subscription.reliability:=best_effort"])
    node.camera(qos=qos_profile_sensor_data).publish(node.image(STAMPS[0]))
    node.expect(STAMPS[:1])


def test_quality_of_service_of_camera_info_can_be_overridden_too(bench):
    node = bench(args=["-p", "qos_overrides./camera_info.subscription.reliability:=reliable"])
    node.camera(CameraInfo, "/camera_info")
    (asked,) = node.client.get_subscriptions_info_by_topic("/camera_info")
    assert asked.qos_profile.reliability == ReliabilityPolicy.RELIABLE
