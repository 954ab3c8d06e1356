"""What the tests of the data room share: little datasets written to disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mapt_ros.data.labels import LABEL_DIVISOR, labels_to_step_png

ROAD, SKY, PERSON, CAR = (LABEL_DIVISOR * class_id for class_id in (0, 10, 11, 13))
Write = Callable[..., Path]


def _street(t: int, height: int = 24, width: int = 40) -> np.ndarray:
    """Sky over road, car 1 (8x5) that moves 2 pixels a frame to the right, person 2 (2x6) that stands still, a crowd."""
    labels = np.full((height, width), ROAD, np.int32)
    labels[:8] = SKY
    labels[0, 0] = -1
    labels[10:15, 2 + 2 * t : 10 + 2 * t] = CAR + 1
    labels[9:15, 30:32] = PERSON + 2
    labels[20:22, 30:36] = PERSON
    return labels


def _image(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Noise in a colour a label."""
    rng = np.random.default_rng(seed)
    colour = np.stack([labels >> 24, labels & 0xFF, labels % 7], axis=-1) * 16 % 200
    return (colour + rng.integers(0, 50, colour.shape)).astype(np.uint8)


def _write_frame(folder: Path, number: int, labels: np.ndarray, image: np.ndarray | None = None, suffix=".png") -> None:
    """One frame of ``<root>/<kind>/<rest>``, given as ``<root>/<rest>`` with ``{}`` for the kind."""
    files = {"images": (image if image is not None else _image(labels, number), suffix)}
    files["panoptic_maps"] = labels_to_step_png(labels), ".png"
    for kind, (pixels, ending) in files.items():
        path = Path(str(folder).format(kind)) / f"{number:06d}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


@pytest.fixture
def street() -> Callable[..., np.ndarray]:
    return _street


@pytest.fixture
def image() -> Callable[..., np.ndarray]:
    return _image


@pytest.fixture
def write_frame() -> Callable[..., None]:
    return _write_frame


@pytest.fixture
def step_folder(tmp_path) -> Path:
    """KITTI-STEP's layout: train/0000 with 5 frames, train/0001 with 3 of another size, val/0002 with 2."""
    for split, name, frames, height in (("train", "0000", 5, 24), ("train", "0001", 3, 26), ("val", "0002", 2, 24)):
        for t in range(frames):
            _write_frame(tmp_path / "step" / "{}" / split / name, t, _street(t, height))
    return tmp_path / "step"
