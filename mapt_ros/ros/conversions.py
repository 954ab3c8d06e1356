"""Translates between ROS messages and arrays: images in, panoptic frames, label maps and overlays out.

Large arrays pass through the buffer protocol, never element by element.
"""

import struct
import sys
from array import array
from dataclasses import fields
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from cv_bridge import CvBridge
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from std_msgs.msg import ColorRGBA, Header

from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet
from mapt_ros.errors import InputError
from mapt_ros.msg import ClassInfo as ClassInfoMessage
from mapt_ros.msg import ClassMap
from mapt_ros.msg import PanopticFrame as PanopticFrameMessage
from mapt_ros.msg import TrackedInstance as TrackedInstanceMessage
from mapt_ros.replay import decode
from mapt_ros.replay.decode import ImageError
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState

# encoding -> what cv_bridge calls it once it is 8 bits deep; the rest is OpenCV's, for PyPI's cv_bridge knows only some.
_BY_CV_BRIDGE = {
    **dict.fromkeys(("rgb8", "rgb16"), "rgb8"),
    **dict.fromkeys(("rgba8", "rgba16"), "rgba8"),
    **dict.fromkeys(("mono8", "mono16", "8UC1"), "mono8"),
    # OpenCV's own names leave the colours open; its convention is BGR.
    **dict.fromkeys(("bgr8", "bgr16", "8UC3"), "bgr8"),
    **dict.fromkeys(("bgra8", "bgra16", "8UC4"), "bgra8"),
}

_WORD = struct.Struct("=I")  # messages are serialized in the machine's byte order
_LONGEST_FRAME_ID = 255  # it goes out again with every message made of the image

_bridge = CvBridge()


def stamp_to_ns(header: Header) -> int:
    """The header's stamp in nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def why_too_long(message: Image | CompressedImage) -> str:
    """What of an image message is longer than any camera makes it, in one line; empty if nothing is."""
    if len(message.data) > decode.MAX_BYTES:
        return f"{len(message.data)} bytes of data; at most {decode.MAX_BYTES} are accepted"
    if len(message.header.frame_id) > _LONGEST_FRAME_ID:
        return f"frame_id of {len(message.header.frame_id)} characters; at most {_LONGEST_FRAME_ID} are accepted"
    return ""


def decode_image(message: Image) -> np.ndarray:
    """The picture of a raw image message as HxWx3 uint8 RGB; it may share the message's memory.

    Raises:
        ImageError: with cause ``encoding``, ``size``, ``step`` or ``data``.
    """
    height, width, step = message.height, message.width, message.step
    kind, channels, to_rgb = decode.checked_layout(message.encoding, width, height, step, len(message.data))
    sample = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    depth = sample.itemsize
    pixels = np.ndarray(
        (height, width, channels), sample, message.data, strides=(step, channels * depth, depth)
    )  # rows may be padded, and need not be aligned to the sample
    if depth == 2:
        pixels = decode.to_8_bit(pixels)
    target = _BY_CV_BRIDGE.get(message.encoding)
    if target is None:
        return cv2.cvtColor(np.ascontiguousarray(pixels), to_rgb)
    return _bridge.imgmsg_to_cv2(_as_tight_image(pixels, target), "rgb8")


def decode_compressed(message: CompressedImage) -> np.ndarray:
    """The picture of a JPEG or PNG message as HxWx3 uint8 RGB.

    Raises:
        ImageError: with cause ``encoding`` or ``data``.
    """
    name = f"compressed image of {len(message.data)} bytes, format {message.format!r}"
    if "compressedDepth" in message.format:
        raise ImageError("encoding", f"{name}: a depth image; a colour or grey camera image is needed")
    try:
        return decode.decode_compressed(message.data)
    except InputError as error:
        raise ImageError("data", f"{name}: {error}") from None


def encode_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """An image message of an HxW or HxWxC array whose dtype fits ``encoding``."""
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.is_bigendian = int(sys.byteorder == "big")
    message.step = pixels.strides[0]
    message.data = _as_array(pixels)
    return message


def encode_labels_image(frame: PanopticFrame, header: Header) -> Image:
    """The label map alone, as a 32SC1 image."""
    return encode_image(frame.labels, "32SC1", header)


def encode_panoptic(frame: PanopticFrame, header: Header, *, camera: str = "") -> PanopticFrameMessage:
    """The message of a panoptic frame under the image's own header; ``processing_ms`` is the sender's to fill."""
    message = outline_panoptic(frame, header, camera=camera)
    message.labels.data = _as_array(np.ascontiguousarray(frame.labels))
    return message


def outline_panoptic(frame: PanopticFrame, header: Header, *, camera: str = "") -> PanopticFrameMessage:
    """``encode_panoptic`` but for the label map's bytes, which ``serialize_panoptic`` adds."""
    message = PanopticFrameMessage(header=header, camera=camera, sequence=frame.sequence, epoch=frame.epoch)
    height, width = frame.labels.shape
    message.labels = Image(header=header, height=height, width=width, encoding="32SC1", step=4 * width)
    message.labels.is_bigendian = int(sys.byteorder == "big")
    message.label_divisor = LABEL_DIVISOR
    message.instances = [_encode_instance(instance) for instance in frame.instances]
    return message


def serialize_panoptic(outline: PanopticFrameMessage, labels: np.ndarray) -> bytes:
    """The bytes of a whole message, to be published as they are.

    Through the message's fields the label map would be copied four times on its way to the middleware instead of twice.

    Args:
        outline: of ``outline_panoptic``, without the label map's bytes.
        labels: HxW int32.
    """
    place = _place_of_labels(outline.header.frame_id, outline.camera)
    serialized = serialize_message(outline)
    labels = np.ascontiguousarray(labels, np.int32)
    # A whole number of words moves nothing behind it out of its alignment: no field there is wider than a word.
    return b"".join(
        (serialized[:place], _WORD.pack(labels.nbytes), memoryview(labels).cast("B"), serialized[place + _WORD.size :])
    )


@lru_cache(maxsize=64)
def _place_of_labels(frame_id: str, camera: str) -> int:
    """Where in a serialized PanopticFrame the label map begins, with its length; only the strings before it count."""
    mark = bytes(range(1, 65))
    header = Header(frame_id=frame_id)
    message = PanopticFrameMessage(header=header, camera=camera, labels=Image(header=header, encoding="32SC1"))
    message.labels.data = array("B", mark)
    # The last one: behind the label map there are but zeros, before it a name may be anything.
    return serialize_message(message).rindex(_WORD.pack(len(mark)) + mark)


def decode_panoptic(message: PanopticFrameMessage) -> PanopticFrame:
    """The panoptic frame in a message, received or read from a bag; the inverse of ``encode_panoptic``."""
    image = message.labels
    dtype = ">i4" if image.is_bigendian else "<i4"
    labels = np.frombuffer(bytes(image.data), dtype).reshape(image.height, image.width).astype(np.int32)
    instances = [_decode_instance(instance) for instance in message.instances]
    return PanopticFrame(labels, instances, stamp_to_ns(message.header), message.sequence, message.epoch)


def encode_classes(classes: ClassSet, *, weights: str, weights_hash: str) -> ClassMap:
    """The message that says what the class ids mean and which weights are at work; it belongs to no image."""
    return ClassMap(
        classes=[
            ClassInfoMessage(
                id=c.id,
                name=c.name,
                is_thing=c.is_thing,
                color=ColorRGBA(**dict(zip("rgb", (value / 255 for value in c.color), strict=True)), a=1.0),
            )
            for c in classes.classes
        ],
        weights=weights,
        weights_hash=weights_hash,
    )


def _encode_instance(instance: TrackedInstance) -> TrackedInstanceMessage:
    x0, y0, x1, y1 = (int(edge) for edge in instance.box)
    return TrackedInstanceMessage(
        track_id=int(instance.track_id),
        class_id=int(instance.class_id),
        score=float(instance.score),
        box=RegionOfInterest(x_offset=x0, y_offset=y0, width=x1 - x0, height=y1 - y0),
        area=int(instance.area),
        x=float(instance.x),
        y=float(instance.y),
        vx=float(instance.vx),
        vy=float(instance.vy),
        age=int(instance.age),
        frames_since_seen=int(instance.frames_since_seen),
        state=int(instance.state),
        association=int(instance.association),
        association_score=float(instance.association_score),
    )


def _decode_instance(message: TrackedInstanceMessage) -> TrackedInstance:
    box = message.box
    copied = (f.name for f in fields(TrackedInstance) if f.name not in ("box", "state", "association"))
    return TrackedInstance(
        box=(box.x_offset, box.y_offset, box.x_offset + box.width, box.y_offset + box.height),
        state=TrackState(message.state),
        association=Association(message.association),
        **{name: getattr(message, name) for name in copied},
    )


class _TightImage(NamedTuple):
    """What cv_bridge reads of an image message; a message itself would copy the data once more."""

    height: int
    width: int
    encoding: str
    step: int
    data: np.ndarray
    is_bigendian: int = 0


def _as_tight_image(pixels: np.ndarray, encoding: str) -> _TightImage:
    """What cv_bridge reads alike in all its versions: 8 bits, rows without padding, no foreign byte order."""
    height, width, channels = pixels.shape
    return _TightImage(height, width, encoding, width * channels, np.ascontiguousarray(pixels))


def _as_array(pixels: np.ndarray) -> array:
    # An array of unsigned bytes is what the message's setter takes over without looking at every element.
    data = array("B")
    data.frombytes(memoryview(pixels).cast("B"))
    return data
