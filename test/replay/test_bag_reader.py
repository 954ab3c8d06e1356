"""Bags of every kind are read; of a damaged one, all that its format still allows, and the rest is said."""

import bz2
import struct

import numpy as np
import pytest

from mapt_ros.errors import InputError
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.replay.salvage import scan

STAMPS = [100 * 10**9 + t * 10**8 for t in range(6)]


def _pixels(bag: BagReader, topic: str) -> list[np.ndarray]:
    images = [message for _, message in bag.messages(topic)]
    channels = [m.data.reshape(m.height, m.width, 3) for m in images]
    return [c[..., ::-1] if m.encoding == "bgr8" else c for c, m in zip(channels, images, strict=True)]


def _cut(path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def _storage(folder):
    return next(f for f in folder.iterdir() if f.suffix in (".mcap", ".db3"))


@pytest.mark.parametrize("compression", [None, "BZ2", "LZ4"])
def test_a_ros1_bag_is_read_whole(ros1_bag, pictures, compression):
    bag = BagReader(ros1_bag(pictures, compression))
    assert bag.topics["/cam/image_raw"] == ("sensor_msgs/msg/Image", 6)
    np.testing.assert_array_equal(_pixels(bag, "/cam/image_raw"), pictures)
    assert [stamp for stamp, _ in bag.messages("/cam/image_raw")] == STAMPS
    assert bag.warnings == []


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("whole_folder", [True, False])
def test_a_ros2_bag_is_read_as_folder_and_as_file(ros2_bag, pictures, storage, whole_folder):
    folder = ros2_bag(pictures, storage)
    bag = BagReader(folder if whole_folder else _storage(folder))
    np.testing.assert_array_equal(_pixels(bag, "/image"), pictures)
    assert bag.warnings == []


@pytest.mark.parametrize("compression", [None, "BZ2", "LZ4"])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
def test_a_cut_ros1_bag_gives_the_messages_before_the_cut(ros1_bag, pictures, compression, share):
    path = ros1_bag(pictures, compression)
    _cut(path, share)
    bag = BagReader(path)
    found = _pixels(bag, "/cam/image_raw")
    assert int(6 * share) - 1 <= len(found) <= 6
    np.testing.assert_array_equal(found, pictures[: len(found)])
    assert "cut off or damaged" in bag.warnings[0]
    assert f"{len(found)} messages can be read" in bag.warnings[0]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_a_cut_mcap_gives_the_messages_before_the_cut(ros2_bag, pictures, share):
    folder = ros2_bag(pictures)
    _cut(_storage(folder), share)
    for path in (folder, _storage(folder)):
        bag = BagReader(path)
        found = _pixels(bag, "/image")
        assert 2 <= len(found) <= 6
        np.testing.assert_array_equal(found, pictures[: len(found)])
        assert "cut off or damaged" in bag.warnings[0]


def test_an_mcap_with_several_chunks_loses_only_the_cut_one(ros2_bag):
    large = [np.random.default_rng(t).integers(0, 255, (400, 1000, 3), np.uint8) for t in range(4)]  # > 1 MB a chunk
    folder = ros2_bag(large)
    _cut(_storage(folder), 0.7)
    np.testing.assert_array_equal(_pixels(BagReader(folder), "/image"), large[:2])


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_a_cut_sqlite_bag_gives_the_messages_before_the_cut(ros2_bag, pictures, share):
    folder = ros2_bag(pictures * 20, "sqlite3")
    _cut(_storage(folder), share)
    bag = BagReader(folder)
    found = _pixels(bag, "/image")
    assert len(found) >= 20
    np.testing.assert_array_equal(found, (pictures * 20)[: len(found)])
    assert "cut off or damaged" in bag.warnings[0]


def test_a_bag_whose_recorder_died_before_the_metadata_is_read(ros2_bag, pictures):
    folder = ros2_bag(pictures)
    (folder / "metadata.yaml").unlink()
    bag = BagReader(folder)
    np.testing.assert_array_equal(_pixels(bag, "/image"), pictures)
    assert "metadata" in bag.warnings[0]


def test_a_damaged_chunk_in_the_middle_ends_the_stream_with_a_warning(ros1_bag, pictures):
    path = ros1_bag(pictures, "BZ2")
    data = bytearray(path.read_bytes())
    fourth = [i for i in range(len(data)) if data[i : i + 4] == b"BZh9"][3]
    data[fourth + 30 : fourth + 60] = bytes(30)
    path.write_bytes(bytes(data))
    bag = BagReader(path)
    assert len(_pixels(bag, "/cam/image_raw")) == 3
    assert "breaks off after 3 of 6 messages" in bag.warnings[0]


@pytest.mark.parametrize("suffix", [".bag", ".mcap", ".db3"])
@pytest.mark.parametrize("content", [b"", b"hello", bz2.compress(b"x" * 1000)])
def test_what_is_no_bag_is_refused_in_one_line(tmp_path, suffix, content):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no message can be read") as error:
        BagReader(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kind", ["ros1", "mcap", "sqlite3"])
def test_a_scan_stops_quietly_wherever_a_bag_is_cut(ros1_bag, ros2_bag, pictures, kind):
    small = [p[:4, :6] for p in pictures]
    path = ros1_bag(small) if kind == "ros1" else _storage(ros2_bag(small, kind))
    whole = [(m.recorded_ns, bytes(m.data)) for m in scan(path)]
    assert len(whole) == 6
    data = path.read_bytes()
    for size in range(0, len(data), 37):
        path.write_bytes(data[:size])
        found = [(m.recorded_ns, bytes(m.data)) for m in scan(path)]
        assert found == whole[: len(found)]


@pytest.mark.parametrize("length", [0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 1 << 40])
def test_an_mcap_record_of_impossible_length_ends_the_scan_there(ros2_bag, pictures, length):
    path = _storage(ros2_bag(pictures))
    path.write_bytes(path.read_bytes()[:-1000])  # without its index, so that the records are gone through
    whole = list(scan(path))
    with path.open("ab") as file:
        file.write(struct.pack("<BQ", 0x05, length) + b"rest")
    assert len(list(scan(path))) == len(whole) > 0
    path.write_bytes(b"\x89MCAP0\r\n" + struct.pack("<BQ", 0x01, length) + b"rest")
    with pytest.raises(InputError, match="no message can be read"):
        BagReader(path)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFFFFFFFFFF])
@pytest.mark.parametrize("field", ["chunk", "records"])
def test_an_mcap_chunk_of_impossible_length_ends_the_scan_there(tmp_path, field, length):
    lengths = {"chunk": 60, "records": 12, field: length}
    chunk = struct.pack("<QQQIIQ", 0, 0, 0, 0, 0, lengths["records"]) + bytes(12)
    path = tmp_path / "broken.mcap"
    path.write_bytes(b"\x89MCAP0\r\n" + struct.pack("<BQ", 0x06, lengths["chunk"]) + chunk)
    assert list(scan(path)) == []


@pytest.mark.parametrize("page_size", [0, 3, 1000])
def test_a_db3_of_impossible_page_size_is_refused_in_one_line(ros2_bag, pictures, page_size):
    path = _storage(ros2_bag(pictures, "sqlite3"))
    data = bytearray(path.read_bytes())
    data[16:18] = struct.pack(">H", page_size)
    path.write_bytes(data)
    with pytest.raises(InputError, match="no message can be read") as error:
        BagReader(path)
    assert "\n" not in str(error.value)


def test_a_ros1_record_without_an_operation_ends_the_scan_there(ros1_bag, pictures):
    path = ros1_bag(pictures)
    with path.open("ab") as file:
        file.write(struct.pack("<II", 7, 3) + b"op=" + struct.pack("<I", 0))
    assert len(list(scan(path))) == 6


@pytest.mark.parametrize("kind", ["ros1", "mcap", "sqlite3"])
def test_damage_anywhere_never_raises_anything_but_one_line(ros1_bag, ros2_bag, pictures, kind):
    small = [p[:4, :6] for p in pictures]
    path = ros1_bag(small) if kind == "ros1" else _storage(ros2_bag(small, kind))
    data = path.read_bytes()
    for start in range(0, min(len(data), 6000), 97):
        for filling in (b"\x00", b"\xff"):
            path.write_bytes(data[:start] + filling * 8 + data[start + 8 :])
            try:
                bag = BagReader(path)
            except InputError as error:
                assert "\n" not in str(error)
                continue
            for topic in bag.topics:
                list(bag.messages(topic))
