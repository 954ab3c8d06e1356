"""A tiny moving scene as arrays, folders and bags, and a tracker that goes by colour."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_typestore

from mapt_ros.data.labels import KITTI_STEP, encode_labels
from mapt_ros.replay.bags import StagedBag, image_message
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState

WIDTH, HEIGHT, FRAMES = 62, 35, 6
CAR_COLOUR = (200, 30, 30)


@pytest.fixture
def pictures() -> list[np.ndarray]:
    """Six RGB images: noise, and a red car that moves 4 pixels a frame."""
    noise = np.random.default_rng(0).integers(60, 120, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    for t in range(FRAMES):
        noise[t, 10:20, 4 * t : 4 * t + 12] = CAR_COLOUR
    return list(noise)


def write_png(path: Path, rgb: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return path


@pytest.fixture
def save(tmp_path):
    """Writes pictures as numbered PNGs into a folder under tmp_path."""

    def _save(folder: str, pictures, digits: int = 6) -> Path:
        for t, rgb in enumerate(pictures):
            write_png(tmp_path / folder / f"{t:0{digits}d}.png", rgb)
        return tmp_path / folder

    return _save


@pytest.fixture
def ros2_bag(tmp_path):
    """Writes a rosbag2 of Image messages with stamps of 0.1 s from second 100, and returns its folder."""

    def _bag(pictures, storage: str = "mcap", topics=("/image",), name: str = "drive") -> Path:
        bag = StagedBag(tmp_path / name, storage=storage)
        for t, rgb in enumerate(pictures):
            for topic in topics:
                stamp = 100 * 10**9 + t * 10**8
                bag.write(topic, image_message(rgb, "rgb8", stamp, "front"), stamp)
        bag.commit()
        return tmp_path / name

    return _bag


@pytest.fixture
def ros1_bag(tmp_path):
    """The same as a ROS 1 bag file, a chunk a message."""

    def _bag(pictures, compression: str | None = None, name: str = "drive.bag") -> Path:
        store = get_typestore(Stores.ROS1_NOETIC)
        types = store.types
        writer = Ros1Writer(tmp_path / name)
        if compression:
            writer.set_compression(Ros1Writer.CompressionFormat[compression])
        writer.chunk_threshold = 1
        with writer:
            connection = writer.add_connection("/cam/image_raw", "sensor_msgs/msg/Image", typestore=store)
            for t, rgb in enumerate(pictures):
                header = types["std_msgs/msg/Header"](
                    seq=t, stamp=types["builtin_interfaces/msg/Time"](100, t * 10**8), frame_id="front"
                )
                bgr = np.ascontiguousarray(rgb[..., ::-1])
                message = types["sensor_msgs/msg/Image"](
                    header, *bgr.shape[:2], "bgr8", 0, bgr.shape[1] * 3, bgr.reshape(-1)
                )
                data = store.serialize_ros1(message, "sensor_msgs/msg/Image")
                writer.write(connection, 100 * 10**9 + t * 10**8, data)
        return tmp_path / name

    return _bag


class ColourTracker:
    """Stands in for the network: everything red is the car, the rest is road; the id is new after every reset."""

    classes = KITTI_STEP

    def __init__(self, first_id: int = 1) -> None:
        self.first_id = first_id
        self.epoch = 0
        self.frames = 0

    def __call__(self, image_rgb, stamp_ns=None):
        car = (image_rgb == CAR_COLOUR).all(-1)
        labels = encode_labels(np.where(car, 13, 0), np.where(car, self.first_id, 0))
        instances = []
        if car.any():
            y, x = np.nonzero(car)
            instances.append(
                TrackedInstance(
                    track_id=self.first_id,
                    class_id=13,
                    score=0.875,
                    box=(int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1),
                    area=int(car.sum()),
                    x=float(x.mean()),
                    y=float(y.mean()),
                    vx=40.0 if self.frames else 0.0,
                    vy=0.0,
                    age=self.frames + 1,
                    frames_since_seen=0,
                    state=TrackState.CONFIRMED if self.frames else TrackState.TENTATIVE,
                    association=Association.MOTION if self.frames else Association.NEW,
                    association_score=0.75,
                )
            )
        frame = PanopticFrame(labels, instances, stamp_ns, self.frames, self.epoch)
        self.frames += 1
        return frame

    def reset(self) -> None:
        self.epoch += 1
        self.frames = 0


@pytest.fixture
def colour_tracker():
    return ColourTracker
