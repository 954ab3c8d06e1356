"""A dataset small enough to train on in a test: boxes that drive past, in the KITTI-STEP layout."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from mapt_ros.data.labels import LABEL_DIVISOR, labels_to_step_png

ROAD, BUILDING, SKY, CAR = 0, 2, 10, 13


def drawn_frame(seed: int, t: int, height: int = 64, width: int = 128):
    """Frame t of a street of boxes: HxWx3 uint8 RGB, HxW int32 label map. Boxes move by whole pixels."""
    random = np.random.default_rng(seed)
    labels = np.full((height, width), SKY * LABEL_DIVISOR, np.int32)
    labels[height // 3 :] = BUILDING * LABEL_DIVISOR
    labels[height // 2 :] = ROAD * LABEL_DIVISOR
    image = random.integers(60, 190, (height, width, 3)).astype(np.uint8)
    image[: height // 3] //= 2
    for track in range(1, 5):
        w, h = random.integers(14, 34, 2)
        x, y, speed = random.integers(0, width - 20), random.integers(20, height - 30), random.integers(-3, 4)
        colour = random.integers(0, 256, 3)
        left = int(x + speed * t)
        area = slice(max(0, y), y + h), slice(max(0, left), max(0, left + w))
        labels[area] = CAR * LABEL_DIVISOR + track
        image[area] = colour
    return image, labels


def write_dataset(folder: Path, sequences: int = 2, frames: int = 5, **size) -> Path:
    """Such streets under ``folder``, split train."""
    for sequence in range(sequences):
        for t in range(frames):
            image, labels = drawn_frame(sequence, t, **size)
            for kind, pixels in (("images", image), ("panoptic_maps", labels_to_step_png(labels))):
                path = folder / kind / "train" / f"{sequence:04d}" / f"{t:06d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), pixels[..., ::-1])
    return folder


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("streets"))


@pytest.fixture
def make_dataset(tmp_path):
    """Writes a dataset of its own for a test that breaks it."""
    return lambda name="data", **how: write_dataset(tmp_path / name, **how)


@pytest.fixture
def drawn():
    return drawn_frame


@pytest.fixture(scope="session")
def recipe_values(tmp_path_factory, tiny_config, dataset_folder) -> dict:
    """A recipe for the narrowest network: six steps of both kinds."""
    config = tmp_path_factory.mktemp("config") / "tiny.yaml"
    config.write_text(yaml.safe_dump({"model": tiny_config.model_dump(mode="json")}))
    return {
        "config": str(config),
        "data": [{"folder": str(dataset_folder), "split": "train"}],
        "stages": [{"kind": "images", "steps": 3, "batch": 2}, {"kind": "pairs", "steps": 3, "batch": 2}],
        "optimiser": {"kind": "adamw", "learning_rate": 0.002},
        "augment": {"scale": [0.8, 1.25]},
        "interval": {"policy": "adaptive", "most": 3},
        "weight_average": 0.9,
        "preview_steps": 0,
    }


@pytest.fixture
def recipe_file(tmp_path, recipe_values):
    """Writes a recipe with some values changed; returns its path."""

    def write(**changed) -> Path:
        path = tmp_path / "tiny_recipe.yaml"
        path.write_text(yaml.safe_dump(recipe_values | changed))
        return path

    return write
