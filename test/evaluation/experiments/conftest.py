"""The drawn street as a dataset on disk, in any size and class set."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mapt_ros.data.labels import labels_to_step_png


@pytest.fixture(scope="session")
def write_street():
    """Writes (image, label map) frames as ``sequence`` of a KITTI-STEP folder, split val."""
    return _write


@pytest.fixture(scope="session")
def street(tmp_path_factory, tiny_drive) -> Path:
    """The drive twice: as it is, and with the first car gone in its third frame."""
    folder = tmp_path_factory.mktemp("street")
    _write(folder, tiny_drive, "0000")
    hidden = [(image, labels.copy()) for image, labels in tiny_drive]
    hidden[2][1][hidden[2][1] == (13 << 24) + 1] = 0
    _write(folder, hidden, "0001")
    return folder


def _write(folder: Path, frames: list[tuple[np.ndarray, np.ndarray]], sequence: str) -> None:
    for i, (image, labels) in enumerate(frames):
        for kind, pixels in (("images", image), ("panoptic_maps", labels_to_step_png(labels))):
            path = folder / kind / "val" / sequence / f"{i:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1]))
