"""Raw buffers and image files become the right RGB pixels, or one clear line."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mapt_ros.errors import InputError
from mapt_ros.replay.decode import MAX_PIXELS, decode_compressed, decode_image

RGB = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
GREY = RGB[..., 0]
GREY_RGB = np.repeat(GREY[..., None], 3, axis=2)
ALPHA = np.full((6, 8, 1), 7, np.uint8)
BGR = RGB[..., ::-1]


@pytest.mark.parametrize(
    ("encoding", "pixels", "expected"),
    [
        ("rgb8", RGB, RGB),
        ("bgr8", BGR, RGB),
        ("8UC3", BGR, RGB),
        ("rgba8", np.concatenate([RGB, ALPHA], 2), RGB),
        ("bgra8", np.concatenate([BGR, ALPHA], 2), RGB),
        ("mono8", GREY, GREY_RGB),
        ("8UC1", GREY, GREY_RGB),
        ("mono16", GREY.astype("<u2") * 257, GREY_RGB),
        ("rgb16", RGB.astype("<u2") * 257, RGB),
        ("bgr16", BGR.astype("<u2") * 257, RGB),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_channels_land_in_rgb_order_with_and_without_row_padding(encoding, pixels, expected, padding):
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(6, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    image = decode_image(encoding, 8, 6, padded.shape[1], padded.tobytes())
    assert image.dtype == np.uint8
    assert image.flags.writeable
    np.testing.assert_array_equal(image, expected)


def test_big_endian_16_bit_is_swapped():
    data = (GREY.astype(np.uint16) * 257).astype(">u2").tobytes()
    np.testing.assert_array_equal(decode_image("mono16", 8, 6, 16, data, is_bigendian=True), GREY_RGB)


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns_keep_a_colour_apart(order, bits):
    colour = {"r": 200, "g": 100, "b": 50}
    tile = np.array([[colour[order[0]], colour[order[1]]], [colour[order[2]], colour[order[3]]]])
    mosaic = np.tile(tile, (4, 4)).astype(np.uint8 if bits == 8 else "<u2") * (1 if bits == 8 else 257)
    image = decode_image(f"bayer_{order}{bits}", 8, 8, 8 * bits // 8, mosaic.tobytes())
    np.testing.assert_array_equal(image[3:5, 3:5], np.broadcast_to((200, 100, 50), (2, 2, 3)))


@pytest.mark.parametrize(("encoding", "order"), [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuyv", "yuyv")])
def test_yuv422_of_red_is_red(encoding, order):
    sample = {"y": 81, "u": 90, "v": 240}  # BT.601's pure red
    pair = bytes(sample[name] for name in order)
    image = decode_image(encoding, 8, 6, 16, pair * 24)
    assert (abs(image.astype(int) - (255, 0, 0)) <= 2).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoding": "nv99"}, "'nv99' is not one of rgb8"),
        ({"width": 0}, "0x6 pixels"),
        ({"height": 0}, "8x0 pixels"),
        ({"step": 23}, "step 23 is smaller than a row of 8 rgb8 pixels"),
        ({"data": bytes(143)}, "143 bytes of data; 6 rows of step 24 need 144"),
        ({"data": b""}, "0 bytes of data"),
        ({"width": 1 << 16, "height": 1 << 16, "step": 3 << 16}, f"at most {MAX_PIXELS}"),
        ({"encoding": "yuv422", "width": 7}, "odd width"),
        ({"encoding": "bayer_rggb8", "height": 1}, "at least 2x2"),
    ],
)
def test_a_wrong_message_is_told_in_one_line(change, said):
    fields = {"encoding": "rgb8", "width": 8, "height": 6, "step": 24, "data": RGB.tobytes(), **change}
    with pytest.raises(InputError) as error:
        decode_image(**fields)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def _file(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PNG = _file(Image.fromarray(RGB))
JPEG = _file(Image.fromarray(cv2.resize(RGB, (64, 48))), "JPEG")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PNG, RGB),
        (_file(Image.fromarray(GREY)), GREY_RGB),
        (_file(Image.fromarray(GREY.astype(np.uint16) * 257)), GREY_RGB),
        (_file(Image.fromarray(np.concatenate([RGB, ALPHA], 2))), RGB),
        (cv2.imencode(".png", BGR.astype(np.uint16) * 257)[1].tobytes(), RGB),
    ],
    ids=["rgb", "grey", "grey16", "rgba", "rgb16"],
)
def test_image_files_of_every_depth_become_rgb(data, expected):
    np.testing.assert_array_equal(decode_compressed(data), expected)


@pytest.mark.parametrize("kind", ["EPS", "PDF", "TIFF", "PPM"])
def test_formats_that_other_programs_would_have_to_read_are_refused_whatever_the_file_is_called(kind):
    with pytest.raises(InputError, match="not a whole image file"):
        decode_compressed(_file(Image.fromarray(RGB), kind))


@given(st.integers(0, len(PNG)))
def test_a_png_cut_anywhere_is_refused_or_whole(size):
    try:
        image = decode_compressed(PNG[:size])
    except InputError:
        assert size < len(PNG)
    else:
        np.testing.assert_array_equal(image, RGB)


@settings(deadline=None)
@given(st.integers(0, len(JPEG) - 3))
def test_a_jpeg_cut_anywhere_is_refused(size):
    with pytest.raises(InputError):
        decode_compressed(JPEG[:size])


@pytest.mark.parametrize("level", [0, 9])  # 0 stores the pixels as they are: only a checksum can tell
@given(where=st.data())
def test_a_flipped_bit_in_a_png_never_changes_a_pixel(level, where):
    damaged = bytearray(_file(Image.fromarray(RGB), compress_level=level))
    damaged[where.draw(st.integers(0, len(damaged) - 1))] ^= 1 << where.draw(st.integers(0, 7))
    try:
        image = decode_compressed(bytes(damaged))
    except InputError:
        return
    np.testing.assert_array_equal(image, RGB)
