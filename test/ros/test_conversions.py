"""Images survive the way between ROS messages and arrays, and broken ones are named, not guessed at."""

from array import array
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from mapt_ros.msg import PanopticFrame as PanopticFrameMessage
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR
from mapt_ros.replay import decode
from mapt_ros.replay.decode import LAYOUTS, ImageError
from mapt_ros.replay.decode import decode_image as offline_decode_image
from mapt_ros.ros.conversions import (
    decode_compressed,
    decode_image,
    decode_panoptic,
    encode_classes,
    encode_image,
    encode_labels_image,
    encode_panoptic,
    outline_panoptic,
    serialize_panoptic,
    stamp_to_ns,
    why_too_long,
)
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState

HEIGHT, WIDTH = 6, 10


def picture(channels: int = 3, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def message(pixels: np.ndarray, encoding: str, *, padding: int = 0, big: bool = False) -> Image:
    """An image message laid out as a driver would, with ``padding`` bytes after every row."""
    stored = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<"))
    rows = [row.tobytes() + b"\xee" * padding for row in stored]
    made = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=len(rows[0]), is_bigendian=big)
    made.header = header()
    made.data = array("B", b"".join(rows))
    return made


def header() -> Header:
    made = Header(frame_id="camera_color_left")
    made.stamp.sec, made.stamp.nanosec = 1_317_046_464, 123_456_789
    return made


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("encoding", "channels", "order"),
    [
        ("rgb8", 3, [0, 1, 2]),
        ("bgr8", 3, [2, 1, 0]),
        ("rgba8", 4, [0, 1, 2]),
        ("bgra8", 4, [2, 1, 0]),
        ("mono8", 1, [0, 0, 0]),
        ("8UC1", 1, [0, 0, 0]),
        ("8UC3", 3, [2, 1, 0]),
    ],
)
def test_colours_arrive_as_rgb_whatever_the_layout(encoding, channels, order, big, padding):
    pixels = picture(channels)
    decoded = decode_image(message(pixels, encoding, padding=padding, big=big))
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, pixels[..., order])


@pytest.mark.parametrize("padding", [0, 2, 3])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("encoding", "channels", "order"), [("mono16", 1, [0, 0, 0]), ("rgb16", 3, [0, 1, 2]), ("bgr16", 3, [2, 1, 0])]
)
def test_16_bit_images_arrive_in_8_bits(encoding, channels, order, big, padding):
    pixels = picture(channels).astype(np.uint16) << 8
    pixels[0, 0, 0] = 0xFFFF
    decoded = decode_image(message(pixels, encoding, padding=padding, big=big))
    assert np.array_equal(decoded, np.round(pixels / 257)[..., order])


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("depth", [8, 16])
def test_every_bayer_pattern_gives_back_a_plain_colour(pattern, depth):
    color = {"r": 200, "g": 100, "b": 50}
    mosaic = np.empty((8, 8, 1), np.uint8)
    for place, channel in enumerate(pattern):
        mosaic[place // 2 :: 2, place % 2 :: 2] = color[channel]
    if depth == 16:
        mosaic = mosaic.astype(np.uint16) * 257
    decoded = decode_image(message(mosaic, f"bayer_{pattern}{depth}"))
    assert np.array_equal(decoded, np.broadcast_to(np.uint8([200, 100, 50]), (8, 8, 3)))


@pytest.mark.parametrize(("encoding", "luma"), [("yuv422", 1), ("yuv422_yuy2", 0)])
def test_yuv_brightness_is_read_from_the_right_bytes(encoding, luma):
    pixels = np.full((4, 4, 2), 128, np.uint8)
    pixels[..., luma] = 235
    assert decode_image(message(pixels, encoding)).min() >= 250


def test_bytes_beyond_the_last_row_do_no_harm():
    pixels = picture()
    longer = message(pixels, "rgb8")
    longer.data.frombytes(b"\x01" * 17)
    assert np.array_equal(decode_image(longer), pixels)


@pytest.mark.parametrize("encoding", LAYOUTS)
@pytest.mark.parametrize("padding", [0, 4])
def test_node_sees_the_very_pixels_that_offline_tracking_sees(encoding, padding):
    kind, channels, _ = LAYOUTS[encoding]
    limit = np.iinfo(kind).max + 1
    pixels = np.random.default_rng(2).integers(0, limit, (HEIGHT, WIDTH, channels), dtype=kind)
    made = message(pixels, encoding, padding=padding)
    offline = offline_decode_image(encoding, made.width, made.height, made.step, made.data)
    assert np.array_equal(decode_image(made), offline)


def _outcome(decoder, *arguments):
    try:
        return decoder(*arguments).tolist()
    except ImageError as error:
        return error.cause, str(error)


@pytest.mark.parametrize("encoding", LAYOUTS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (1, 4)])
def test_node_takes_and_refuses_the_tiny_images_that_offline_tracking_does(encoding, height, width):
    kind, channels, _ = LAYOUTS[encoding]
    made = message(np.full((height, width, channels), 99, kind), encoding)
    offline = _outcome(offline_decode_image, encoding, width, height, made.step, made.data)
    assert _outcome(decode_image, made) == offline
    assert not encoding.startswith("bayer_") or min(height, width) > 1 or offline[0] == "size"


def _changed(**fields) -> Image:
    changed = message(picture(), "bgr8")
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


@pytest.mark.parametrize(
    ("broken", "cause", "words"),
    [
        (_changed(encoding="jpeg2000"), "encoding", "encoding 'jpeg2000' is not one of rgb8, bgr8"),
        (_changed(encoding=""), "encoding", "encoding '' is not one of"),
        (_changed(encoding="32FC1"), "encoding", "'32FC1'"),
        (_changed(step=WIDTH * 3 - 1), "step", "step 29 is smaller than a row of 10 bgr8 pixels (30 bytes)"),
        (_changed(encoding="bgr16"), "step", "step 30 is smaller than a row of 10 bgr16 pixels (60 bytes)"),
        (_changed(width=0), "size", "width and height must be positive"),
        (_changed(height=0), "size", "width and height must be positive"),
        (_changed(width=1 << 20, step=3 << 20, height=1 << 20), "size", "at most"),
        (_changed(height=HEIGHT + 1), "data", "180 bytes of data; 7 rows of step 30 need 210"),
        (_changed(data=array("B")), "data", "0 bytes of data"),
    ],
)
def test_broken_image_is_refused_with_its_cause_in_one_line(broken, cause, words):
    with pytest.raises(ImageError) as refusal:
        decode_image(broken)
    assert refusal.value.cause == cause
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def compressed(extension: str, pixels: np.ndarray, **fields) -> CompressedImage:
    made = CompressedImage(format=extension[1:], **fields)
    made.data = array("B", cv2.imencode(extension, pixels)[1].tobytes())
    return made


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH, 3), (HEIGHT, WIDTH)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_topic_is_decoded_losslessly(shape, dtype):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
    if dtype == np.uint16 and len(shape) == 2:
        expected = np.round(pixels / 257)
    else:
        expected = pixels >> (8 * (np.dtype(dtype).itemsize - 1))
    expected = expected[..., ::-1] if expected.ndim == 3 else expected[..., None].repeat(3, axis=-1)
    assert np.array_equal(decode_compressed(compressed(".png", pixels)), expected)


@pytest.mark.parametrize("pixels", [np.full((16, 16, 3), (0, 0, 255), np.uint8), np.full((16, 16), 77, np.uint8)])
def test_jpeg_topic_is_decoded(pixels):
    decoded = decode_compressed(compressed(".jpg", pixels))
    expected = pixels[..., ::-1] if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=-1)
    assert np.abs(decoded.astype(int) - expected).max() <= 3


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_cut_compressed_image_is_refused(extension, share):
    whole = compressed(extension, picture(height=64, width=64))
    whole.data = whole.data[: int(len(whole.data) * share)]
    with pytest.raises(ImageError) as refusal:
        decode_compressed(whole)
    assert refusal.value.cause == "data"


def test_depth_topic_is_refused_as_such():
    with pytest.raises(ImageError, match="a depth image") as refusal:
        decode_compressed(CompressedImage(format="16UC1; compressedDepth png"))
    assert refusal.value.cause == "encoding"


def test_messages_longer_than_any_cameras_are_told_before_they_wait(monkeypatch):
    assert why_too_long(message(picture(), "rgb8")) == why_too_long(compressed(".png", picture())) == ""
    named = message(picture(), "rgb8")
    named.header.frame_id = "x" * 256
    assert why_too_long(named) == "frame_id of 256 characters; at most 255 are accepted"
    monkeypatch.setattr(decode, "MAX_BYTES", 100)
    assert why_too_long(message(picture(), "rgb8")) == "180 bytes of data; at most 100 are accepted"


def frame() -> PanopticFrame:
    labels = np.full((HEIGHT, WIDTH), 8 * LABEL_DIVISOR, np.int32)
    labels[2:4, 3:7] = 13 * LABEL_DIVISOR + 70_001
    labels[0] = -1
    car = TrackedInstance(
        track_id=70_001,
        class_id=13,
        score=0.75,
        box=(3, 2, 7, 4),
        area=8,
        x=4.5,
        y=2.5,
        vx=-1.5,
        vy=0.25,
        age=12,
        frames_since_seen=0,
        state=TrackState.CONFIRMED,
        association=Association.APPEARANCE,
        association_score=0.875,
    )
    return PanopticFrame(labels, [car], stamp_ns=5, sequence=41, epoch=3)


def test_panoptic_frame_keeps_every_field_over_the_wire():
    sent = encode_panoptic(frame(), header(), camera="front")
    got = deserialize_message(serialize_message(sent), PanopticFrameMessage)
    assert got.header == header() and got.labels.header == header()
    assert (got.camera, got.sequence, got.epoch, got.label_divisor) == ("front", 41, 3, LABEL_DIVISOR)
    assert (got.labels.encoding, got.labels.height, got.labels.width) == ("32SC1", HEIGHT, WIDTH)
    labels = np.frombuffer(got.labels.data, np.int32).reshape(HEIGHT, WIDTH)
    assert np.array_equal(labels, frame().labels)
    (car,) = got.instances
    assert (car.box.x_offset, car.box.y_offset, car.box.width, car.box.height) == (3, 2, 4, 2)
    assert (car.state, car.association) == (car.CONFIRMED, car.APPEARANCE)
    numbers = ("track_id", "class_id", "score", "area", "x", "y", "vx", "vy", "age", "frames_since_seen")
    for name in (*numbers, "association_score"):
        assert getattr(car, name) == getattr(frame().instances[0], name), name


MARK = bytes(range(1, 65)).decode()  # what the place of the label map is looked up by


@pytest.mark.parametrize("instances", [0, 1, 7])
@pytest.mark.parametrize("camera", ["", "f", "front", "front_left_narrow", "vorn_ö", MARK])
@pytest.mark.parametrize("frame_id", [*("camera_l"[:length] for length in range(9)), "c" * 255, "相机", MARK])
def test_frames_are_serialized_as_rclpy_would(frame_id, camera, instances):
    random = np.random.default_rng(len(frame_id) * 10 + instances)
    labels = random.integers(-1, 2**31, random.integers(1, 12, 2), dtype=np.int32)[:, ::-1]
    cars = [replace(frame().instances[0], track_id=number + 1, score=random.random()) for number in range(instances)]
    made = PanopticFrame(labels, cars, stamp_ns=5, sequence=2**40 + 1, epoch=3)
    about = Header(frame_id=frame_id, stamp=header().stamp)

    outline, whole = (encode(made, about, camera=camera) for encode in (outline_panoptic, encode_panoptic))
    outline.processing_ms = whole.processing_ms = 12.5
    ours, theirs = serialize_panoptic(outline, labels), serialize_message(whole)
    assert len(ours) == len(theirs)  # not the same bytes: what fills the gaps before aligned fields is left to chance
    got = deserialize_message(ours, PanopticFrameMessage)
    assert got == deserialize_message(theirs, PanopticFrameMessage)
    assert np.array_equal(decode_panoptic(got).labels, labels) and got.processing_ms == 12.5


def test_a_frame_comes_back_from_its_message_as_it_was():
    got = deserialize_message(serialize_message(encode_panoptic(frame(), header())), PanopticFrameMessage)
    back = decode_panoptic(got)
    assert np.array_equal(back.labels, frame().labels) and back.labels.dtype == np.int32
    assert back.instances == frame().instances
    assert (back.stamp_ns, back.sequence, back.epoch) == (stamp_to_ns(header()), 41, 3)


def test_numbers_of_the_message_are_those_of_the_python_enums():
    from mapt_ros.msg import TrackedInstance as TrackedInstanceMessage

    for enum in (TrackState, Association):
        assert {e.name: int(e) for e in enum} == {e.name: getattr(TrackedInstanceMessage, e.name) for e in enum}


def test_label_map_and_overlay_are_images_that_other_tools_read():
    labels = encode_labels_image(frame(), header())
    assert (labels.step, labels.encoding, labels.header) == (WIDTH * 4, "32SC1", header())
    strided = picture(height=HEIGHT * 2)[::2]
    assert np.array_equal(decode_image(encode_image(strided, "rgb8", header())), strided)


def test_large_arrays_reach_the_message_as_bytes_at_once():
    """The setters of some distributions look at every element of anything but an array of unsigned bytes."""
    message_of_labels = encode_labels_image(PanopticFrame(np.zeros((375, 1242), np.int32)), header())
    assert isinstance(message_of_labels.data, array) and message_of_labels.data.typecode == "B"
    assert len(message_of_labels.data) == 375 * 1242 * 4


def test_class_map_tells_names_kinds_colours_and_weights():
    made = encode_classes(KITTI_STEP, weights="compact", weights_hash="0123456789ab")
    assert [c.name for c in made.classes if c.is_thing] == ["person", "car"]
    road = made.classes[0]
    assert (road.color.r, road.color.g, road.color.a) == pytest.approx((128 / 255, 64 / 255, 1.0))
    assert (made.weights, made.weights_hash) == ("compact", "0123456789ab")
    assert made.header == Header()


def test_stamp_is_whole_nanoseconds():
    assert stamp_to_ns(header()) == 1_317_046_464_123_456_789
