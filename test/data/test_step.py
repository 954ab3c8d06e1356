"""Folders in the KITTI-STEP layout are read as they were written, and what is wrong with them is told in one line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR, MOTCHALLENGE_STEP
from mapt_ros.errors import InputError


def test_a_split_is_read_as_written(step_folder, street, image):
    dataset = open_dataset(step_folder, "train")
    assert dataset.classes == KITTI_STEP
    assert [(s.name, len(s), s.numbers) for s in dataset.sequences] == [
        ("0000", 5, (0, 1, 2, 3, 4)),
        ("0001", 3, (0, 1, 2)),
    ]
    pixels, labels = dataset.sequences[0].frame(3)
    assert labels.dtype == np.int32 and (labels == street(3)).all()
    assert pixels.dtype == np.uint8 and (pixels == image(street(3), 3)).all()
    assert dataset.sequences[1].frame(0)[0].shape == (26, 40, 3)  # sizes may vary between sequences


def test_without_a_split_all_of_them_are_read(step_folder):
    assert [s.name for s in open_dataset(step_folder).sequences] == ["train/0000", "train/0001", "val/0002"]


def test_a_folder_without_the_split_level_is_read_too(tmp_path, street, write_frame):
    for t in range(2):
        write_frame(tmp_path / "{}" / "0007", t, street(t))
    dataset = open_dataset(tmp_path)
    assert [(s.name, len(s)) for s in dataset.sequences] == [("0007", 2)]
    with pytest.raises(InputError, match="has no split 'train'; it has no splits, so leave the split out"):
        open_dataset(tmp_path, "train")


def test_the_unlabelled_test_split_of_images_is_not_taken_for_data(step_folder, image, street):
    path = step_folder / "images" / "test" / "0005" / "000000.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(image(street(0))).save(path)
    assert len(open_dataset(step_folder).sequences) == 3
    with pytest.raises(InputError, match="has no split 'test'; it has train, val"):
        open_dataset(step_folder, "test")


def test_motchallenge_step_has_jpegs_and_is_told_by_its_persons(tmp_path, write_frame):
    labels = np.full((16, 24), 1 * LABEL_DIVISOR, np.int32)
    labels[4:10, 3:6] = 4 * LABEL_DIVISOR + 12
    for t in range(1, 3):
        write_frame(tmp_path / "{}" / "train" / "0009", t, labels, suffix=".jpg")
    dataset = open_dataset(tmp_path, "train")
    assert dataset.classes == MOTCHALLENGE_STEP
    assert dataset.sequences[0].numbers == (1, 2)
    pixels, read = dataset.sequences[0].frame(1)
    assert pixels.shape == (16, 24, 3) and (read == labels).all()


def test_fences_do_not_make_a_kitti_folder_one_of_motchallenge(tmp_path, write_frame):
    for t in range(2):
        write_frame(tmp_path / "{}" / "0000", t, np.full((8, 8), 4 * LABEL_DIVISOR, np.int32))
    assert open_dataset(tmp_path).classes == KITTI_STEP


def image_file(root: Path) -> Path:
    return root / "images" / "train" / "0000" / "000002.png"


def label_file(root: Path) -> Path:
    return root / "panoptic_maps" / "train" / "0000" / "000002.png"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("damage", "file", "message"),
    [
        (lambda root: cut(image_file(root)), image_file, "cannot be read"),
        (lambda root: cut(label_file(root)), label_file, "cannot be read"),
        (lambda root: label_file(root).write_text("no"), label_file, "is not a whole image file"),
        (
            lambda root: save(label_file(root), np.zeros((24, 40), np.uint8)),
            label_file,
            "mode L, expected an 8-bit RGB PNG",
        ),
        (
            lambda root: save(label_file(root), np.zeros((24, 40), np.uint16)),
            label_file,
            "mode I;16, expected an 8-bit RGB PNG",
        ),
        (
            lambda root: save(image_file(root), np.zeros((24, 40), np.uint16)),
            image_file,
            "mode I;16, expected an image of 8 bits a channel",
        ),
        (
            lambda root: save(label_file(root), np.full((24, 40, 3), 200, np.uint8)),
            label_file,
            "class 200 is none",
        ),
        (
            lambda root: save(image_file(root), np.zeros((24, 41, 3), np.uint8)),
            label_file,
            "is 40x24 pixels, its image .*000002.png is 41x24",
        ),
    ],
)
def test_a_broken_frame_is_named_when_it_is_read(step_folder, damage, file, message):
    damage(step_folder)
    sequence = open_dataset(step_folder, "train").sequences[0]
    sequence.frame(1)
    with pytest.raises(InputError, match=message) as caught:
        sequence.frame(2)
    assert str(caught.value).startswith(str(file(step_folder))) and "\n" not in str(caught.value)


def remove_images(root: Path) -> None:
    shutil.rmtree(root / "images" / "train" / "0000")


def empty_maps(root: Path) -> None:
    for path in (root / "panoptic_maps" / "val" / "0002").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: image_file(root).unlink(), "000002.png: has no image of its number in "),
        (lambda root: label_file(root).unlink(), "000002.png: has no label map of its number in "),
        (lambda root: image_file(root).rename(image_file(root).with_name("2.png")), None),
        (lambda root: image_file(root).rename(image_file(root).with_name("two.png")), "two.png: its name does not end"),
        (
            lambda root: shutil.copy(image_file(root), image_file(root).with_name("2.png")),
            "2.png: frame 2 is there twice, also as 000002.png",
        ),
        (remove_images, "images/train/0000: is missing"),
        (empty_maps, "panoptic_maps/val/0002: is empty"),
        (lambda root: shutil.rmtree(root / "panoptic_maps"), "has neither panoptic_maps/"),
    ],
)
def test_a_broken_folder_is_told_when_it_is_opened(step_folder, damage, message):
    damage(step_folder)
    if message is None:  # numbers need no leading zeros
        assert len(open_dataset(step_folder).sequences[0]) == 5
        return
    with pytest.raises(InputError, match=message) as caught:
        open_dataset(step_folder)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_and_none_at_all_are_told(tmp_path):
    with pytest.raises(InputError, match="has neither panoptic_maps/"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match="nowhere: is not a folder"):
        open_dataset(tmp_path / "nowhere")
    (tmp_path / "panoptic_maps" / "train").mkdir(parents=True)
    with pytest.raises(InputError, match="panoptic_maps.*: is empty"):
        open_dataset(tmp_path)
