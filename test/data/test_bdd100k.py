"""BDD100K's bitmasks are read by their documented bits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mapt_ros.data.bdd100k import read_bitmask
from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.labels import BDD100K, LABEL_DIVISOR
from mapt_ros.errors import InputError

VIDEO = "b1c66a42-6f7d68ca"


def bitmask(*pixels: tuple[int, int, int, int]) -> np.ndarray:
    return np.array([pixels], np.uint8)


@pytest.fixture
def bdd_folder(tmp_path) -> Path:
    root = tmp_path / "bdd100k"
    for split in ("train", "val"):
        images, masks = (
            root / kind / split / VIDEO for kind in ("images/seg_track_20", "labels/seg_track_20/bitmasks")
        )
        images.mkdir(parents=True), masks.mkdir(parents=True)
        for number in range(1, 4):
            mask = np.zeros((8, 12, 4), np.uint8)
            mask[2:4, number : number + 3] = (3, 0, 1, 44)
            Image.fromarray(mask).save(masks / f"{VIDEO}-{number:07d}.png")
            Image.fromarray(mask[..., :3]).save(images / f"{VIDEO}-{number:07d}.jpg")
    return root


def test_a_split_is_read_by_video_and_frame_number(bdd_folder):
    dataset = open_dataset(bdd_folder, "train")
    assert dataset.classes == BDD100K
    assert [(s.name, s.numbers) for s in dataset.sequences] == [(VIDEO, (1, 2, 3))]
    image, labels = dataset.sequences[0].frame(1)
    assert image.shape == (8, 12, 3) and labels.dtype == np.int32
    assert np.unique(labels).tolist() == [-1, 3 * LABEL_DIVISOR + 300]
    assert (labels[2:4, 2:5] == 3 * LABEL_DIVISOR + 300).all()
    assert [s.name for s in open_dataset(bdd_folder).sequences] == [f"train/{VIDEO}", f"val/{VIDEO}"]


def test_attributes_and_background(tmp_path):
    path = tmp_path / "mask.png"
    pixels = bitmask((0, 0, 0, 0), (1, 0b1100, 0, 7), (3, 0b0010, 0, 8), (3, 0b0001, 0, 9), (8, 0, 0xFF, 0xFF))
    Image.fromarray(pixels).save(path)
    expected = [-1, LABEL_DIVISOR + 7, 3 * LABEL_DIVISOR, 3 * LABEL_DIVISOR, 8 * LABEL_DIVISOR + 0xFFFF]
    assert read_bitmask(path)[0].tolist() == expected


def test_what_is_no_bitmask_is_told(tmp_path, bdd_folder):
    path = tmp_path / "mask.png"
    Image.fromarray(bitmask((9, 0, 0, 1))).save(path)
    with pytest.raises(InputError, match="mask.png: category 9 is none of BDD100K's"):
        read_bitmask(path)
    Image.fromarray(bitmask((1, 0, 0, 1))[..., :3]).save(path)
    with pytest.raises(InputError, match="mode RGB, expected an 8-bit RGBA PNG"):
        read_bitmask(path)
    with pytest.raises(InputError, match="has no split 'test'; it has train, val"):
        open_dataset(bdd_folder, "test")
