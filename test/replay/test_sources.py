"""Folders, videos and bags all give the same stream: RGB pixels, stamps, and one clear line for what is wrong."""

import io
import operator
import os
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from mapt_ros.errors import InputError
from mapt_ros.replay.bags import StagedBag, header_message, image_message
from mapt_ros.replay.sources import open_sources
from mapt_ros.replay.typestore import typestore


def _images(source):
    return [frame.image for frame in source]


def _stamps(source):
    return [frame.stamp_ns for frame in source]


def test_a_folder_gives_the_pictures_at_10_hz(save, pictures):
    (source,) = open_sources(save("images/val/0002", pictures))
    assert source.sequence == "0002"
    assert operator.length_hint(source) == 6
    np.testing.assert_array_equal(_images(source), pictures)
    assert _stamps(source) == [t * 10**8 for t in range(6)]
    assert [f.name for f in source][:2] == ["000000.png", "000001.png"]


def test_a_folder_of_sequences_gives_each(save, pictures, tmp_path):
    save("images/val/0002", pictures[:2])
    save("images/val/0006", pictures[2:5])
    sources = open_sources(tmp_path)
    assert [(s.sequence, len(_images(s))) for s in sources] == [("0002", 2), ("0006", 3)]


def test_16_bit_and_grey_files_become_rgb(tmp_path, pictures):
    grey = pictures[0][..., 0]
    cv2.imwrite(str(tmp_path / "000000.png"), grey)
    cv2.imwrite(str(tmp_path / "000001.png"), grey.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "000002.png"), pictures[0][..., ::-1].astype(np.uint16) * 257)
    first, second, third = _images(open_sources(tmp_path)[0])
    np.testing.assert_array_equal(first, np.repeat(grey[..., None], 3, 2))
    np.testing.assert_array_equal(second, first)
    np.testing.assert_array_equal(third, pictures[0])


def test_frames_before_a_truncated_png_come_out_and_the_error_names_the_file(save, pictures):
    folder = save("0000", pictures)
    broken = folder / "000003.png"
    os.truncate(broken, broken.stat().st_size // 2)
    seen = []
    with pytest.raises(InputError, match=r"000003\.png: not a whole image file") as error:
        for frame in open_sources(folder)[0]:
            seen.append(frame.image)
    assert len(seen) == 3
    assert "\n" not in str(error.value)


def test_a_link_to_a_missing_image_is_named(save, pictures):
    folder = save("0000", pictures[:2])
    (folder / "000001.png").unlink()
    (folder / "000001.png").symlink_to("gone.png")
    with pytest.raises(InputError, match=r"000001\.png: cannot be read \(No such file"):
        _images(open_sources(folder)[0])


def test_a_gap_in_the_numbers_is_said_and_keeps_numbers_and_times(save, pictures):
    folder = save("0000", pictures)
    (folder / "000002.png").unlink()
    (source,) = open_sources(folder)
    assert [f.index for f in source] == [0, 1, 3, 4, 5]
    assert _stamps(source) == [0, 10**8, 3 * 10**8, 4 * 10**8, 5 * 10**8]
    assert source.warnings == [f"{folder}: frames 2 to 2 are missing"]


def _video(path, pictures, codec="mpeg4"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[0] // 2 * 2, pictures[0].shape[1]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for t, rgb in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[: stream.height]), format="rgb24")
            frame.pts, frame.time_base = t, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_video_gives_its_frames_with_their_presentation_times(tmp_path, pictures):
    (source,) = open_sources(_video(tmp_path / "drive.mp4", pictures))
    assert source.sequence == "drive"
    assert _stamps(source) == [t * 40_000_000 for t in range(6)]
    for image, original in zip(_images(source), pictures, strict=True):
        assert image.shape == (34, 62, 3)
        assert abs(image.astype(int) - original[:34]).mean() < 25  # lossy, but the same picture
        assert image[15, np.flatnonzero(original[15, :, 0] == 200)[5], 0] > 120  # red stays red
    assert source.warnings == []


def test_a_cut_video_gives_the_frames_before_the_cut_and_says_so(tmp_path, pictures):
    path = _video(tmp_path / "drive.avi", [cv2.resize(p, (320, 240)) for p in pictures * 5])
    os.truncate(path, path.stat().st_size // 2)
    (source,) = open_sources(path)
    found = _images(source)
    assert 5 < len(found) < 30
    assert "breaks off after" in source.warnings[0]


@pytest.mark.parametrize("content", [b"", b"not a video at all", bytes(5000)])
def test_what_is_no_video_is_refused(tmp_path, content):
    path = tmp_path / "drive.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"drive\.mp4: not a video") as error:
        open_sources(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["ros1", "mcap", "sqlite3"])
def test_every_kind_of_bag_gives_the_pictures_with_their_header_stamps(ros1_bag, ros2_bag, pictures, kind):
    path = ros1_bag(pictures) if kind == "ros1" else ros2_bag(pictures, kind)
    (source,) = open_sources(path)
    assert source.sequence == "drive"
    assert operator.length_hint(source) == 6
    np.testing.assert_array_equal(_images(source), pictures)
    assert _stamps(source) == [100 * 10**9 + t * 10**8 for t in range(6)]
    assert next(iter(source)).frame_id == "front"


def test_of_several_image_topics_one_must_be_chosen(ros2_bag, pictures):
    folder = ros2_bag(pictures, topics=("/left/image", "/right/image"))
    with pytest.raises(InputError, match=r"/left/image, /right/image\); choose one with --topic"):
        open_sources(folder)
    (source,) = open_sources(folder, "/right/image")
    np.testing.assert_array_equal(_images(source), pictures)
    with pytest.raises(InputError, match="no images on topic '/rear/image'"):
        open_sources(folder, "/rear/image")


def _bag_of(folder, *messages):
    bag = StagedBag(folder)
    for t, message in enumerate(messages):
        bag.write("/image", message, 10**9 + t * 10**8)
    bag.commit()
    return folder


def test_compressed_images_are_decoded(tmp_path, pictures):
    buffer = io.BytesIO()
    Image.fromarray(pictures[0]).save(buffer, "PNG")
    message = typestore().types["sensor_msgs/msg/CompressedImage"](
        header_message(5, "front"), "png", np.frombuffer(buffer.getvalue(), np.uint8)
    )
    (source,) = open_sources(_bag_of(tmp_path / "compressed", message))
    np.testing.assert_array_equal(_images(source), pictures[:1])


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("encoding", "nv99", "encoding 'nv99'"),
        ("step", 10, "step 10 is smaller"),
        ("width", 0, "0x35 pixels"),
        ("data", np.zeros(5, np.uint8), "5 bytes of data"),
    ],
)
def test_a_bad_message_is_named_after_the_good_ones(tmp_path, pictures, field, value, said):
    good, bad = (image_message(p, "rgb8", 10**9, "front") for p in pictures[:2])
    setattr(bad, field, value)
    (source,) = open_sources(_bag_of(tmp_path / "bad", good, bad))
    seen = []
    with pytest.raises(InputError, match=said) as error:
        for frame in source:
            seen.append(frame.index)
    assert seen == [0]
    assert "/image[1]" in str(error.value)


def test_headers_without_stamps_are_said_once(tmp_path, pictures):
    bag = _bag_of(tmp_path / "unstamped", *(image_message(p, "rgb8", 0, "front") for p in pictures))
    (source,) = open_sources(bag)
    assert _stamps(source) == [0] * 6
    assert len(source.warnings) == 1
    assert "no stamps" in source.warnings[0]


def test_wrong_paths_are_told_apart(tmp_path, save, pictures, ros2_bag):
    with pytest.raises(InputError, match="does not exist"):
        open_sources(tmp_path / "nothing")
    folder = save("0000", pictures[:1])
    with pytest.raises(InputError, match="single image"):
        open_sources(folder / "000000.png")
    with pytest.raises(InputError, match="is not a bag"):
        open_sources(folder, "/image")
    info = StagedBag(tmp_path / "no_images")
    info.write("/header", header_message(5, "front"), 5)
    info.commit()
    with pytest.raises(InputError, match="no images in this bag; its topics are /header"):
        open_sources(tmp_path / "no_images")
