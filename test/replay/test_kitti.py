"""KITTI's folder layouts, stamps and calibration are read as the dataset pages describe them."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mapt_ros.errors import InputError
from mapt_ros.replay.kitti import find_calibration, find_sequences, read_calibration, read_timestamps, safe_name

RAW_STAMPS = """2011-09-26 13:02:25.964389445
2011-09-26 13:02:26.074393535
2011-09-26 13:02:26.174598399
"""


def _raw_drive(save, pictures, frames=3):
    drive = "2011_09_26/2011_09_26_drive_0001_sync"
    folder = save(f"{drive}/image_02/data", pictures[:frames], digits=10)
    save(f"{drive}/image_03/data", pictures[:frames], digits=10)
    (folder.parent / "timestamps.txt").write_text(RAW_STAMPS)
    return folder.parents[1]


def test_a_raw_drive_gives_the_left_colour_camera_with_its_exact_stamps(save, pictures):
    drive = _raw_drive(save, pictures)
    for path in (drive.parent, drive, drive / "image_02", drive / "image_02" / "data"):
        (sequence,) = find_sequences(path)
        assert sequence.name == "2011_09_26_drive_0001_sync"
        assert sequence.folder.parent.name == "image_02"
        assert sequence.stamps_or_10_hz() == (1317042145964389445, 1317042146074393535, 1317042146174598399)


def test_a_drive_with_a_dropped_image_keeps_the_stamps_of_the_others(save, pictures):
    drive = _raw_drive(save, pictures)
    (drive / "image_02/data/0000000001.png").unlink()
    (sequence,) = find_sequences(drive)
    assert sequence.stamps_ns == (1317042145964389445, 1317042146174598399)
    assert sequence.indices == (0, 2)
    assert sequence.gaps() == [f"{sequence.folder}: frames 1 to 1 are missing"]


def test_fewer_stamps_than_images_is_an_error(save, pictures):
    drive = _raw_drive(save, pictures, frames=5)
    with pytest.raises(InputError, match="has 3 stamps, but the last image is 0000000004.png"):
        find_sequences(drive)


def test_without_timestamps_the_frames_are_a_tenth_of_a_second_apart(save, pictures):
    (sequence,) = find_sequences(save("2011_09_26/image_02/data", pictures[:3], digits=10))
    assert sequence.name == "2011_09_26"
    assert sequence.stamps_ns is None
    assert sequence.stamps_or_10_hz() == (0, 100_000_000, 200_000_000)


def test_tracking_and_step_layouts_give_one_sequence_a_folder(save, pictures, tmp_path):
    for name in ("0002", "0010"):
        save(f"training/image_02/{name}", pictures[:2])
        save(f"step/images/val/{name}", pictures[:2])
        save(f"step/panoptic_maps/val/{name}", pictures[:2])
    assert [s.name for s in find_sequences(tmp_path / "training")] == ["0002", "0010"]
    found = find_sequences(tmp_path / "step")
    assert [s.name for s in found] == ["0002", "0010"]
    assert all("panoptic_maps" not in s.folder.parts for s in found)


def test_the_same_number_in_two_splits_stays_two_sequences(save, pictures, tmp_path):
    save("images/train/0000", pictures[:1])
    save("images/test/0000", pictures[:1])
    assert [s.name for s in find_sequences(tmp_path / "images")] == ["test_0000", "train_0000"]


def test_other_names_come_in_natural_order(pictures, tmp_path, save):
    folder = save("walk", pictures[:3])
    for old, new in (("000000", "shot10"), ("000001", "shot9"), ("000002", "shot100")):
        (folder / f"{old}.png").rename(folder / f"{new}.png")
    (sequence,) = find_sequences(folder)
    assert [f.stem for f in sequence.frames] == ["shot9", "shot10", "shot100"]
    assert sequence.indices == (0, 1, 2)


def test_a_folder_without_images_says_so(tmp_path):
    with pytest.raises(InputError, match="no images there"):
        find_sequences(tmp_path)


def test_calibrations_of_both_layouts_give_the_projection_of_the_camera_in_use(save, pictures, tmp_path):
    raw = _raw_drive(save, pictures) / "image_02" / "data"
    (tmp_path / "2011_09_26" / "calib_cam_to_cam.txt").write_text(
        "calib_time: 09-Jan-2012 13:57:47\nP_rect_00: " + "9 " * 12 + "\nP_rect_02: 7 0 6 4 0 7 2 0 0 0 1 0\n"
    )
    tracking = save("training/image_02/0002", pictures[:1])
    (tmp_path / "training" / "calib").mkdir()
    (tmp_path / "training" / "calib" / "0002.txt").write_text("P0: 1\nP2: 7 0 6 4 0 7 2 0 0 0 1 0\nR_rect 1 0 0\n")
    for folder in (raw, tracking):
        projection = read_calibration(find_calibration(folder), folder)
        np.testing.assert_array_equal(projection, [[7, 0, 6, 4], [0, 7, 2, 0], [0, 0, 1, 0]])


@pytest.mark.parametrize(
    ("text", "said"),
    [("hello\n", "has no projection matrix P_rect_02"), ("P2: 1 2 3\n", "12 numbers"), ("P2: a b\n", "12 numbers")],
)
def test_a_calibration_without_the_matrix_is_named(tmp_path, text, said):
    path = tmp_path / "calib.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as error:
        read_calibration(path, tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("yesterday\n", "line 1 is not a time"), (RAW_STAMPS + RAW_STAMPS.splitlines()[0] + "\n", "line 4 is not later")],
)
def test_bad_timestamps_name_the_line(tmp_path, text, said):
    path = tmp_path / "timestamps.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_timestamps(path)


@given(st.text())
@example("..")
@example(".hidden")
@example("a/../b")
def test_a_safe_name_is_always_one_visible_folder(name):
    safe = safe_name(name)
    assert safe
    assert "/" not in safe
    assert "\\" not in safe
    assert "\0" not in safe
    assert not safe.startswith(".")
