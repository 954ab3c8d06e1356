"""Writes rosbag2: KITTI folders as image + camera_info, and anything else that wants a bag which appears only when whole."""

import re
import shutil
import tempfile
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import numpy as np
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from tqdm import tqdm

from mapt_ros.errors import InputError
from mapt_ros.replay.files import writing
from mapt_ros.replay.kitti import ImageSequence, find_calibration, find_sequences, read_calibration
from mapt_ros.replay.sources import read_image
from mapt_ros.replay.typestore import typestore

# Version 9 keeps QoS profiles in a form that Humble cannot read; every distribution since reads version 8.
_METADATA_VERSION = 8
_STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
_TOPIC = re.compile(r"(/[A-Za-z_]\w*)+", re.ASCII)
_UNSPECIFIED = QosTime(0, 0)
_RELIABLE = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    _UNSPECIFIED,
    _UNSPECIFIED,
    QosLiveliness.AUTOMATIC,
    _UNSPECIFIED,
    False,
)
# ROS reads a header stamp of zero as "not stamped", so a bag made of frames without stamps starts here.
FIRST_STAMP_NS = 1_000_000_000


class StagedBag:
    """A rosbag2 folder that grows in a hidden folder beside its place and moves there by ``commit``.

    Args:
        out: folder to create.
        storage: ``mcap`` or ``sqlite3``.

    Raises:
        InputError: ``out`` exists already, its parent cannot be written, or the storage is unknown.
    """

    def __init__(self, out: Path, *, storage: str = "mcap") -> None:
        self.out = Path(out)
        self.messages = 0
        if storage not in _STORAGES:
            raise InputError(f"storage {storage!r} is not one of {', '.join(_STORAGES)}")
        if self.out.exists():
            raise InputError(f"{self.out}: exists already; name another bag or remove it")
        with writing(self.out):
            self.out.parent.mkdir(parents=True, exist_ok=True)
            # The staging folder holds a folder of the final name, since the files inside are named after it.
            self._staging = Path(tempfile.mkdtemp(prefix=f".{self.out.name}.", dir=self.out.parent))
            self._writer = Writer(
                self._staging / self.out.name, version=_METADATA_VERSION, storage_plugin=_STORAGES[storage]
            )
            try:
                self._writer.open()
            except BaseException:
                self.discard()
                raise
        self._connections: dict[str, Connection] = {}

    def write(self, topic: str, message: object, recorded_ns: int) -> None:
        """Adds one message of a rosbags dataclass type, recorded at a time in ns.

        Raises:
            InputError: ``topic`` is not a full ROS topic name, or the disk is full.
        """
        msgtype = message.__msgtype__
        self.write_serialized(topic, msgtype, typestore().serialize_cdr(message, msgtype), recorded_ns)

    def write_serialized(self, topic: str, msgtype: str, data: bytes | memoryview, recorded_ns: int) -> None:
        """The same for a message that is CDR already, of a type that ``typestore`` knows."""
        if topic not in self._connections:
            if not _TOPIC.fullmatch(topic):
                raise InputError(f"topic {topic!r} is not a full ROS topic name such as /camera/image_raw")
            with writing(self.out):
                self._connections[topic] = self._writer.add_connection(
                    topic, msgtype, typestore=typestore(), offered_qos_profiles=[_RELIABLE]
                )
        with writing(self.out):
            self._writer.write(self._connections[topic], recorded_ns, data)
        self.messages += 1

    def commit(self) -> None:
        """Completes the bag under its final name.

        Raises:
            InputError: the disk is full, or the name is taken by now; nothing is left behind.
        """
        with writing(self.out):
            try:
                self._writer.close()
                (self._staging / self.out.name).rename(self.out)
            except BaseException:
                self.discard()
                raise
            self._staging.rmdir()

    def discard(self) -> None:
        """Leaves nothing behind."""
        with suppress(Exception):  # a writer on a full disk fails once more when it is told to stop
            self._writer.abort()
        shutil.rmtree(self._staging, ignore_errors=True)


class BagWriter(AbstractContextManager):
    """Images and camera_info of one camera as a rosbag2; a context manager that leaves a whole bag or none.

    ``camera_info`` goes beside the image topic: ``/camera_info`` for ``/image``, ``/cam/camera_info`` for
    ``/cam/image_raw``.

    Args:
        out: folder to create.
        topic: image topic.
        storage: ``mcap`` or ``sqlite3``.

    Raises:
        InputError: ``out`` exists already or cannot be written, the storage is unknown, ``topic`` is no topic name.
    """

    def __init__(self, out: Path, *, topic: str = "/image", storage: str = "mcap") -> None:
        self.topic = topic
        self.info_topic = f"{topic.rpartition('/')[0]}/camera_info"
        if not _TOPIC.fullmatch(topic) or topic == self.info_topic:
            raise InputError(f"topic {topic!r} is not a full ROS topic name for images such as /camera/image_raw")
        self._bag = StagedBag(out, storage=storage)

    def __exit__(self, kind, value, traceback) -> None:
        if kind is None:
            self._bag.commit()
        else:
            self._bag.discard()

    def write_image(self, image_rgb: np.ndarray, stamp_ns: int, frame_id: str = "camera") -> None:
        """Adds an HxWx3 uint8 RGB image as ``sensor_msgs/Image`` rgb8."""
        self._bag.write(self.topic, image_message(image_rgb, "rgb8", stamp_ns, frame_id), stamp_ns)

    def write_camera_info(
        self,
        width: int,
        height: int,
        stamp_ns: int,
        frame_id: str = "camera",
        *,
        projection: np.ndarray | None = None,
    ) -> None:
        """Adds a ``sensor_msgs/CameraInfo`` of a rectified camera.

        Args:
            width, height: of the image, in pixels.
            stamp_ns: of the image.
            frame_id: of the image.
            projection: 3x4 matrix; None = uncalibrated, told by K and P of zeros as CameraInfo.msg says.
        """
        types = typestore().types
        calibrated = projection is not None
        matrix = np.asarray(projection, np.float64) if calibrated else np.zeros((3, 4))
        info = types["sensor_msgs/msg/CameraInfo"](
            header=header_message(stamp_ns, frame_id),
            height=height,
            width=width,
            distortion_model="plumb_bob" if calibrated else "",
            d=np.zeros(5 if calibrated else 0),
            k=np.ascontiguousarray(matrix[:, :3]).ravel(),
            r=np.eye(3).ravel() if calibrated else np.zeros(9),
            p=np.ascontiguousarray(matrix).ravel(),
            binning_x=0,
            binning_y=0,
            roi=types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False),
        )
        self._bag.write(self.info_topic, info, stamp_ns)


def header_message(stamp_ns: int, frame_id: str):
    """A ``std_msgs/Header`` in rosbags's types."""
    types = typestore().types
    return types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9)), frame_id)


def image_message(pixels: np.ndarray, encoding: str, stamp_ns: int, frame_id: str):
    """A ``sensor_msgs/Image`` in rosbags's types, of an HxW or HxWxC array in the machine's (little-endian) order."""
    return typestore().types["sensor_msgs/msg/Image"](
        header=header_message(stamp_ns, frame_id),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels[0].nbytes,
        data=np.ascontiguousarray(pixels).view(np.uint8).reshape(-1),
    )


def write_bag(
    source: Path,
    out: Path,
    *,
    topic: str = "/image",
    storage: str = "mcap",
    sequence: str | None = None,
    frame_id: str = "camera",
    calibration: Path | None = None,
) -> dict:
    """Writes a KITTI folder (raw, tracking or STEP layout, or any image folder) as a rosbag2.

    Stamps are the dataset's; without any, ten frames a second from ``FIRST_STAMP_NS``.

    Args:
        source: folder.
        out: rosbag2 folder to create.
        topic: image topic; camera_info goes beside it.
        storage: ``mcap`` or ``sqlite3``.
        sequence: which one, where the folder holds several.
        frame_id: of every header.
        calibration: KITTI calibration file, where the folder has none of its own.

    Returns:
        What was written: bag, sequence, frames, topics, first and last stamp, calibration, warnings.

    Raises:
        InputError: no such folder or sequence, a damaged image, a calibration that cannot be read, or ``out`` exists.
    """
    if not Path(source).is_dir():
        raise InputError(f"{source}: is not a folder; expected a KITTI raw drive, tracking or STEP folder")
    images = _choose(find_sequences(source), source, sequence)
    warnings = images.gaps()
    # Frames of an *_extract drive are distorted, and the matrices of the rectified camera don't hold for them.
    found = None if images.name.endswith("_extract") else find_calibration(images.folder)
    calibration = calibration or found
    projection = read_calibration(calibration, images.folder) if calibration else None
    if projection is None:
        warnings.append(f"{images.folder}: no calibration found; camera_info has the size only")

    start_ns = 0 if images.stamps_ns else FIRST_STAMP_NS
    stamps = [start_ns + stamp for stamp in images.stamps_or_10_hz()]
    with BagWriter(out, topic=topic, storage=storage) as writer:
        frames = zip(images.frames, stamps, strict=True)
        for path, stamp_ns in tqdm(frames, total=len(stamps), desc=images.name, unit="frame", disable=None):
            image = read_image(path)
            height, width = image.shape[:2]
            writer.write_camera_info(width, height, stamp_ns, frame_id, projection=projection)
            writer.write_image(image, stamp_ns, frame_id)
    return {
        "bag": str(out),
        "sequence": images.name,
        "frames": len(stamps),
        "image_topic": writer.topic,
        "camera_info_topic": writer.info_topic,
        "storage": storage,
        "stamps": "dataset" if images.stamps_ns else "10 Hz",
        "first_stamp_ns": stamps[0],
        "last_stamp_ns": stamps[-1],
        "calibration": str(calibration) if calibration else None,
        "warnings": warnings,
    }


def _choose(sequences: list[ImageSequence], source: Path, name: str | None) -> ImageSequence:
    names = ", ".join(s.name for s in sequences)
    if name is None and len(sequences) > 1:
        raise InputError(f"{source}: holds {len(sequences)} sequences ({names}); choose one with --sequence")
    chosen = [s for s in sequences if name in (None, s.name)]
    if not chosen:
        raise InputError(f"{source}: has no sequence {name!r}; there is {names}")
    return chosen[0]
