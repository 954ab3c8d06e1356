"""Where offline results go: KITTI-STEP maps, tracks.jsonl, an overlay video, a rosbag2 of PanopticFrame messages.

Every sink takes frame after frame and is closed once, also when the run breaks off: what was taken is then in place
under its final name, and nothing else is. Where a disk is full or a folder cannot be written, making a sink, ``write``
and ``close`` raise InputError.
"""

import dataclasses
import errno
import io
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
from PIL import Image

from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet, labels_to_step_png
from mapt_ros.errors import InputError
from mapt_ros.replay.bags import StagedBag, header_message, image_message
from mapt_ros.replay.files import partial_name, write_beside, writing
from mapt_ros.replay.kitti import KITTI_PERIOD_NS, safe_name
from mapt_ros.replay.sources import SourceFrame
from mapt_ros.replay.typestore import typestore
from mapt_ros.tracking.frame import PanopticFrame, TrackedInstance
from mapt_ros.viz.overlay import Trails, draw_overlay

PANOPTIC_TOPIC = "/mapt/panoptic"
_MILLISECONDS = Fraction(1, 1000)
_LONGEST_PAUSE_MS = 1000  # a longer gap between stamps would only freeze the video


class Sink(Protocol):
    """Takes each frame of a run."""

    def write(self, sequence: str, source: SourceFrame, frame: PanopticFrame, processing_ms: float) -> None: ...

    def close(self) -> None: ...


class StepSink:
    """``panoptic_maps/<sequence>/%06d.png`` under a folder, in KITTI-STEP's encoding."""

    def __init__(self, out: Path) -> None:
        self._root = out / "panoptic_maps"

    def write(self, sequence: str, source: SourceFrame, frame: PanopticFrame, processing_ms: float) -> None:
        """Writes one PNG.

        Raises:
            InputError: a track id does not fit into 16 bits, or the file cannot be written.
        """
        png = io.BytesIO()
        Image.fromarray(labels_to_step_png(frame.labels)).save(png, "PNG")
        folder = self._root / safe_name(sequence)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_beside(folder / f"{source.index:06d}.png", png.getvalue())

    def close(self) -> None:
        pass


class TracksSink:
    """``tracks.jsonl``: one JSON object a frame with the sequence, the stamp and every field of its instances."""

    def __init__(self, out: Path) -> None:
        self._path = out / "tracks.jsonl"
        self._whole = 0  # bytes of the lines that are complete
        with writing(self._path):
            # Without a buffer, so that what a full disk refuses is known at once and cut off again.
            self._file = partial_name(self._path).open("wb", buffering=0)

    def write(self, sequence: str, source: SourceFrame, frame: PanopticFrame, processing_ms: float) -> None:
        line = {
            "sequence": sequence,
            "index": source.index,
            "stamp_ns": source.stamp_ns,
            "frame": frame.sequence,
            "epoch": frame.epoch,
            "instances": [_as_json(instance) for instance in frame.instances],
        }
        data = (json.dumps(line) + "\n").encode()
        with writing(self._path):
            if self._file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._whole += len(data)

    def close(self) -> None:
        with writing(self._path):
            self._file.truncate(self._whole)
            self._file.close()
            partial_name(self._path).replace(self._path)


class VideoSink:
    """The overlay as H.264 (MPEG-4 where FFmpeg was built without it), paced by the stamps.

    Raises:
        InputError: the file cannot be written, or its suffix names no video container.
    """

    def __init__(self, path: Path, classes: ClassSet) -> None:
        self._path = Path(path)
        self._classes = classes
        self._trails = Trails()
        self._last_stamp_ns: int | None = None
        self._pts = 0
        self._stream: av.VideoStream | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(partial_name(self._path)), "w")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"{path}: no video can be written there ({error}); a name such as out.mp4 will do"
            ) from None

    def write(self, sequence: str, source: SourceFrame, frame: PanopticFrame, processing_ms: float) -> None:
        self._trails.update(frame)
        picture = draw_overlay(source.image, frame, self._classes, trails=self._trails)
        if self._stream is None:
            self._stream = self._add_stream(picture)
        picture = _fit(picture, self._stream.width, self._stream.height)
        if self._last_stamp_ns is not None:
            step_ms = (source.stamp_ns - self._last_stamp_ns) // 10**6
            # Stamps start over with the next sequence, and some cameras never stamp.
            self._pts += min(step_ms, _LONGEST_PAUSE_MS) if step_ms > 0 else KITTI_PERIOD_NS // 10**6
        self._last_stamp_ns = source.stamp_ns
        video_frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        video_frame.pts, video_frame.time_base = self._pts, _MILLISECONDS
        with writing(self._path):
            self._container.mux(self._stream.encode(video_frame))

    def close(self) -> None:
        partial = partial_name(self._path)
        with writing(self._path):
            try:
                if self._stream is not None:
                    self._container.mux(self._stream.encode())
                self._container.close()
                if self._stream is not None:
                    partial.replace(self._path)
            finally:  # without its end a video cannot be played
                partial.unlink(missing_ok=True)

    def _add_stream(self, picture: np.ndarray) -> av.VideoStream:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = self._container.add_stream(codec, rate=10)
        stream.codec_context.time_base = stream.time_base = _MILLISECONDS
        # 4:2:0 chroma needs even sizes.
        stream.width, stream.height = (size + size % 2 for size in (picture.shape[1], picture.shape[0]))
        stream.pix_fmt = "yuv420p"
        return stream


class BagSink:
    """A rosbag2 with one ``mapt_ros/PanopticFrame`` a frame on ``/mapt/panoptic``, under the image's stamp.

    Raises:
        InputError: the bag exists already or cannot be written.
    """

    def __init__(self, out: Path) -> None:
        self._bag = StagedBag(out)

    def write(self, sequence: str, source: SourceFrame, frame: PanopticFrame, processing_ms: float) -> None:
        self._bag.write(PANOPTIC_TOPIC, _panoptic_message(source, frame, processing_ms), source.stamp_ns)

    def close(self) -> None:
        if self._bag.messages:
            self._bag.commit()
        else:
            self._bag.discard()


def _as_json(instance: TrackedInstance) -> dict:
    """All fields of an instance in JSON's own types, enumerations by name."""
    fields = dataclasses.asdict(instance)
    fields.update(state=instance.state.name, association=instance.association.name)
    return fields


def _fit(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Brings a picture to the video's size: an odd edge is repeated, a frame of another size is scaled."""
    down, right = height - picture.shape[0], width - picture.shape[1]
    if 0 <= down <= 1 and 0 <= right <= 1:
        return cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _panoptic_message(source: SourceFrame, frame: PanopticFrame, processing_ms: float):
    types = typestore().types
    return types["mapt_ros/msg/PanopticFrame"](
        header=header_message(source.stamp_ns, source.frame_id),
        camera="",
        sequence=frame.sequence,
        epoch=frame.epoch,
        labels=image_message(frame.labels, "32SC1", source.stamp_ns, source.frame_id),
        label_divisor=LABEL_DIVISOR,
        instances=[_instance_message(instance) for instance in frame.instances],
        processing_ms=processing_ms,
    )


def _instance_message(instance: TrackedInstance):
    types = typestore().types
    x0, y0, x1, y1 = instance.box
    return types["mapt_ros/msg/TrackedInstance"](
        track_id=instance.track_id,
        class_id=instance.class_id,
        score=instance.score,
        box=types["sensor_msgs/msg/RegionOfInterest"](
            x_offset=x0, y_offset=y0, height=y1 - y0, width=x1 - x0, do_rectify=False
        ),
        area=instance.area,
        x=instance.x,
        y=instance.y,
        vx=instance.vx,
        vy=instance.vy,
        age=instance.age,
        frames_since_seen=instance.frames_since_seen,
        state=int(instance.state),
        association=int(instance.association),
        association_score=instance.association_score,
    )
