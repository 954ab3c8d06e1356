"""A KITTI folder becomes a rosbag2 that holds the same pixels and the dataset's stamps, or nothing at all."""

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from mapt_ros.errors import InputError
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.replay.bags import BagWriter, write_bag
from mapt_ros.replay.sources import open_sources, read_image


def _infos(path, topic="/camera_info"):
    return [message for _, message in BagReader(path).messages(topic)]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_step_folder_round_trips_through_a_bag(save, pictures, tmp_path, storage):
    folder = save("images/val/0002", pictures)
    summary = write_bag(folder, tmp_path / "bag", storage=storage)
    (source,) = open_sources(tmp_path / "bag")
    np.testing.assert_array_equal([f.image for f in source], pictures)
    stamps = [f.stamp_ns for f in source]
    assert stamps == [10**9 + t * 10**8 for t in range(6)]  # not from 0, which ROS reads as "not stamped"
    assert (summary["frames"], summary["sequence"], summary["stamps"]) == (6, "0002", "10 Hz")
    assert len(summary["warnings"]) == 1
    infos = _infos(tmp_path / "bag")
    assert [i.header.stamp.nanosec + i.header.stamp.sec * 10**9 for i in infos] == stamps
    assert (infos[0].width, infos[0].height) == (62, 35)
    assert not infos[0].k.any()


def test_a_raw_drive_brings_its_stamps_and_calibration(save, pictures, tmp_path):
    folder = save("2011_09_26/2011_09_26_drive_0001_sync/image_02/data", pictures[:2], digits=10)
    (folder.parent / "timestamps.txt").write_text("2011-09-26 13:02:25.964389445\n2011-09-26 13:02:26.074393535\n")
    (tmp_path / "2011_09_26" / "calib_cam_to_cam.txt").write_text("P_rect_02: 7 0 6 4 0 7 2 0 0 0 1 0\n")
    summary = write_bag(tmp_path / "2011_09_26", tmp_path / "bag", topic="/kitti/image_raw")
    assert summary["warnings"] == []
    assert (summary["first_stamp_ns"], summary["last_stamp_ns"]) == (1317042145964389445, 1317042146074393535)
    assert [f.stamp_ns for f in open_sources(tmp_path / "bag")[0]] == [1317042145964389445, 1317042146074393535]
    info = _infos(tmp_path / "bag", "/kitti/camera_info")[0]
    np.testing.assert_array_equal(info.k, [7, 0, 6, 0, 7, 2, 0, 0, 1])
    np.testing.assert_array_equal(info.p, [7, 0, 6, 4, 0, 7, 2, 0, 0, 0, 1, 0])
    assert info.distortion_model == "plumb_bob"


def test_a_calibration_can_be_named_for_a_folder_without(save, pictures, tmp_path):
    (tmp_path / "calib.txt").write_text("P2: 7 0 6 4 0 7 2 0 0 0 1 0\n")
    summary = write_bag(save("0002", pictures[:1]), tmp_path / "bag", calibration=tmp_path / "calib.txt")
    assert summary["warnings"] == []
    assert _infos(tmp_path / "bag")[0].k[0] == 7


def test_the_matrices_of_the_rectified_camera_are_not_given_to_distorted_images(save, pictures, tmp_path):
    save("2011_09_26/2011_09_26_drive_0001_extract/image_02/data", pictures[:1], digits=10)
    (tmp_path / "2011_09_26" / "calib_cam_to_cam.txt").write_text("P_rect_02: 7 0 6 4 0 7 2 0 0 0 1 0\n")
    assert write_bag(tmp_path / "2011_09_26", tmp_path / "bag")["calibration"] is None


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_the_metadata_is_what_every_ros2_bag_since_humble_reads(save, pictures, tmp_path, storage):
    write_bag(save("0002", pictures), tmp_path / "drive", storage=storage)
    info = yaml.safe_load((tmp_path / "drive" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert info["version"] == 8
    assert info["storage_identifier"] == storage
    assert info["message_count"] == 12
    assert info["duration"]["nanoseconds"] == 5 * 10**8
    (name,) = info["relative_file_paths"]
    assert name == f"drive.{'mcap' if storage == 'mcap' else 'db3'}"
    assert (tmp_path / "drive" / name).is_file()
    assert [f["path"] for f in info["files"]] == [name]
    for topic in info["topics_with_message_count"]:
        metadata = topic["topic_metadata"]
        assert metadata["serialization_format"] == "cdr"
        assert metadata["type_description_hash"].startswith("RIHS01_")
        # Version 8 carries the profiles as YAML in a string, their policies as rmw's numbers.
        (qos,) = yaml.safe_load(metadata["offered_qos_profiles"])
        assert (qos["history"], qos["depth"], qos["reliability"], qos["durability"]) == (1, 10, 1, 2)


def test_an_existing_bag_is_never_touched(save, pictures, tmp_path):
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "mine").write_text("x")
    with pytest.raises(InputError, match="exists already"):
        write_bag(save("0002", pictures), tmp_path / "bag")
    assert [f.name for f in (tmp_path / "bag").iterdir()] == ["mine"]


def test_a_broken_image_leaves_no_bag_and_no_leftovers(save, pictures, tmp_path):
    folder = save("in/0002", pictures)
    os.truncate(folder / "000004.png", 100)
    with pytest.raises(InputError, match=r"000004\.png"):
        write_bag(folder, tmp_path / "out" / "bag")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("topic", ["image", "/", "", "/a b", "/image/", "/../image", "/camera_info"])
def test_names_that_are_no_image_topics_are_refused(save, pictures, tmp_path, topic):
    with pytest.raises(InputError, match="is not a full ROS topic name"):
        write_bag(save("in/0002", pictures[:1]), tmp_path / "bag", topic=topic)
    assert [f.name for f in tmp_path.iterdir()] == ["in"]


def test_one_sequence_must_be_chosen(save, pictures, tmp_path):
    save("images/val/0002", pictures[:1])
    save("images/val/0006", pictures[:2])
    with pytest.raises(InputError, match=r"2 sequences \(0002, 0006\); choose one with --sequence"):
        write_bag(tmp_path / "images", tmp_path / "bag")
    with pytest.raises(InputError, match="no sequence '0007'; there is 0002, 0006"):
        write_bag(tmp_path / "images", tmp_path / "bag", sequence="0007")
    assert write_bag(tmp_path / "images", tmp_path / "bag", sequence="0006")["frames"] == 2


def test_other_wrong_input_is_told(save, pictures, tmp_path):
    folder = save("0002", pictures[:1])
    with pytest.raises(InputError, match="is not a folder"):
        write_bag(tmp_path / "nothing", tmp_path / "bag")
    with pytest.raises(InputError, match="storage 'tape' is not one of mcap, sqlite3"):
        write_bag(folder, tmp_path / "bag", storage="tape")
    with pytest.raises(InputError, match="cannot be read as a KITTI calibration"):
        write_bag(folder, tmp_path / "bag", calibration=tmp_path / "nothing.txt")
    with pytest.raises(InputError, match="cannot be written"):
        write_bag(folder, folder / "000000.png" / "bag")


def test_the_writer_commits_on_success_only(tmp_path, pictures):
    with pytest.raises(KeyError), BagWriter(tmp_path / "bag") as writer:
        writer.write_image(pictures[0], 5)
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image(pictures[0], 5, "front")
        assert not (tmp_path / "bag").exists()
    assert [f.name for f in tmp_path.iterdir()] == ["bag"]


def test_real_kitti_frames_round_trip(tmp_path):
    shared = os.environ.get("MAPT_SHARED_DATA")
    if not shared:
        pytest.skip("MAPT_SHARED_DATA is not set; it names a folder with kitti_raw/<date>/image_02/data")
    folder = Path(shared) / "kitti_raw"
    summary = write_bag(folder, tmp_path / "bag")
    files = sorted(folder.glob("*/image_02/data/*.png"))
    assert summary["frames"] == len(files) > 0
    for frame, file in zip(open_sources(tmp_path / "bag")[0], files, strict=True):
        np.testing.assert_array_equal(frame.image, read_image(file))
