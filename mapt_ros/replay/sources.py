"""Where images come from: image folders, videos and ROS bags, all as one stream of RGB frames with stamps."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from mapt_ros.errors import InputError
from mapt_ros.replay.bag_reader import BagReader, is_bag
from mapt_ros.replay.decode import decode_compressed, decode_message
from mapt_ros.replay.kitti import IMAGE_SUFFIXES, ImageSequence, find_sequences, safe_name

_COMPRESSED = "sensor_msgs/msg/CompressedImage"
_IMAGE_TYPES = ("sensor_msgs/msg/Image", _COMPRESSED)


@dataclass(frozen=True)
class SourceFrame:
    """One image on its way to the tracker.

    Attributes:
        image: HxWx3 uint8 RGB.
        stamp_ns: nanoseconds; from the dataset's stamps, the message header or the video's clock.
        index: number of the frame in its sequence; KITTI's own numbering where the files have it.
        name: how to speak of it in a message, such as ``000012.png``.
        frame_id: coordinate frame of the camera.
    """

    image: np.ndarray
    stamp_ns: int
    index: int
    name: str
    frame_id: str = "camera"


class Source(Protocol):
    """A sequence of frames of one camera; iterating starts from the first frame.

    ``operator.length_hint(source)`` tells the number of frames where it is known in advance. Iterating raises
    InputError at the first frame that cannot be read; ``warnings`` collects what was read around.
    """

    sequence: str
    warnings: list[str]

    def __iter__(self) -> Iterator[SourceFrame]: ...


def open_sources(path: Path, topic: str | None = None) -> list[Source]:
    """The sequences of an image folder (KITTI layouts included), a video, or a ROS 1 or ROS 2 bag.

    Args:
        path: folder or file.
        topic: image topic of a bag; may be left out where there is only one.

    Raises:
        InputError: nothing there, nothing that can be read, or a bag with several image topics and none chosen.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: does not exist; expected an image folder, a video or a ROS bag")
    if is_bag(path):
        return [BagSource(path, topic)]
    if topic is not None:
        raise InputError(f"{path}: is not a bag, so it has no topic {topic!r}; leave the topic out")
    if path.is_dir():
        return [FolderSource(sequence) for sequence in find_sequences(path)]
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise InputError(f"{path}: is a single image; name the folder it lies in")
    return [VideoSource(path)]


def read_image(path: Path) -> np.ndarray:
    """An image file as HxWx3 uint8 RGB; 16-bit and grey images are converted.

    Raises:
        InputError: missing, damaged or cut off.
    """
    try:
        return decode_compressed(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


class FolderSource:
    """The images of one folder; stamps from the dataset, else ten a second from 0."""

    def __init__(self, images: ImageSequence) -> None:
        self.sequence = images.name
        self.warnings = images.gaps()
        self._images = images

    def __len__(self) -> int:
        return len(self._images.frames)

    def __iter__(self) -> Iterator[SourceFrame]:
        images = self._images
        for path, index, stamp in zip(images.frames, images.indices, images.stamps_or_10_hz(), strict=True):
            yield SourceFrame(read_image(path), stamp, index, path.name)


class VideoSource:
    """The frames of a video file's first video stream; stamps are its presentation times."""

    def __init__(self, path: Path) -> None:
        self.sequence = safe_name(path.stem)
        self.warnings: list[str] = []
        self._path = path
        with self._open() as container:
            self._promised = container.streams.video[0].frames  # 0 where the container does not say

    def __length_hint__(self) -> int:
        return self._promised or NotImplemented

    def __iter__(self) -> Iterator[SourceFrame]:
        index, damage = 0, None
        with self._open() as container:
            frames = container.decode(video=0)
            while True:
                try:
                    frame = next(frames, None)
                except av.FFmpegError as error:
                    frame, damage = None, error.strerror
                if frame is None:
                    break
                stamp = _presentation_ns(frame, container.streams.video[0], index)
                yield SourceFrame(frame.to_ndarray(format="rgb24"), stamp, index, f"{self._path.name}[{index}]")
                index += 1
        if index < self._promised:
            damage = damage or "the file ends early"
        if index == 0:
            raise InputError(f"{self._path}: no frame of this video can be read ({damage or 'it is empty'})")
        if damage:
            promised = f" of {self._promised}" if self._promised else ""
            self.warnings.append(f"{self._path}: breaks off after {index}{promised} frames ({damage})")

    def _open(self) -> av.container.InputContainer:
        try:
            container = av.open(str(self._path))
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{self._path}: not a video, an image folder or a bag that can be read ({reason})"
            ) from None
        if not container.streams.video:
            container.close()
            raise InputError(f"{self._path}: has no video stream")
        return container


class BagSource:
    """One image topic of a bag; stamps and frame ids are those of the message headers."""

    def __init__(self, path: Path, topic: str | None = None) -> None:
        self.sequence = safe_name(path.resolve().stem)
        self._bag = BagReader(path)
        self.topic = _choose_topic(self._bag, topic)

    @property
    def warnings(self) -> list[str]:
        return self._bag.warnings

    def __len__(self) -> int:
        return self._bag.topics[self.topic].count

    def __iter__(self) -> Iterator[SourceFrame]:
        compressed = self._bag.topics[self.topic].msgtype == _COMPRESSED
        for index, (_, message) in enumerate(self._bag.messages(self.topic)):
            name = f"{self.topic}[{index}]"
            try:
                image = decode_compressed(message.data) if compressed else decode_message(message)
            except InputError as error:
                raise InputError(f"{self._bag.path}: {name}: {error}") from None
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            if stamp == 0 and index == 1:  # a first stamp of 0 alone may be a clock that starts there
                self.warnings.append(f"{self.topic}: the headers have no stamps; frames count in the order of arrival")
            yield SourceFrame(image, stamp, index, name, message.header.frame_id)


def _presentation_ns(frame: av.VideoFrame, stream: av.VideoStream, index: int) -> int:
    """A frame's presentation time in ns; counted by the average rate where the file has none."""
    if frame.pts is not None and frame.time_base:
        return round(frame.pts * frame.time_base * 10**9)
    return round(index * 10**9 / (stream.average_rate or 10))


def _choose_topic(bag: BagReader, topic: str | None) -> str:
    images = sorted(name for name, info in bag.topics.items() if info.msgtype in _IMAGE_TYPES and info.count)
    listed = ", ".join(images)
    if not images:
        raise InputError(f"{bag.path}: no images in this bag; its topics are {', '.join(sorted(bag.topics)) or 'none'}")
    if topic is None and len(images) > 1:
        raise InputError(f"{bag.path}: several image topics ({listed}); choose one with --topic")
    if topic is not None and topic not in images:
        raise InputError(f"{bag.path}: no images on topic {topic!r}; image topics are {listed}")
    return topic or images[0]
