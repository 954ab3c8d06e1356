"""Pixels out of bytes: raw ROS image buffers and compressed image files become HxWx3 uint8 RGB, or one clear error."""

import io
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from mapt_ros.errors import InputError, first_line

MAX_PIXELS = 1 << 26  # 67 megapixels; more is a damaged header rather than a camera
MAX_BYTES = 8 * MAX_PIXELS  # four samples of 16 bits each
_FORMATS = ("JPEG", "PNG")  # Pillow would take any, some by way of other programs

_BAYER = {
    "rggb": cv2.COLOR_BayerRGGB2RGB,
    "bggr": cv2.COLOR_BayerBGGR2RGB,
    "gbrg": cv2.COLOR_BayerGBRG2RGB,
    "grbg": cv2.COLOR_BayerGRBG2RGB,
}


class Layout(NamedTuple):
    """How an encoding lies in the buffer: NumPy type, samples a pixel, OpenCV's conversion to RGB or None."""

    kind: str
    channels: int
    to_rgb: int | None


LAYOUTS = {
    encoding: Layout(*layout)
    for encoding, layout in {
        "rgb8": ("u1", 3, None),
        "bgr8": ("u1", 3, cv2.COLOR_BGR2RGB),
        "rgba8": ("u1", 4, cv2.COLOR_RGBA2RGB),
        "bgra8": ("u1", 4, cv2.COLOR_BGRA2RGB),
        "rgb16": ("u2", 3, None),
        "bgr16": ("u2", 3, cv2.COLOR_BGR2RGB),
        "rgba16": ("u2", 4, cv2.COLOR_RGBA2RGB),
        "bgra16": ("u2", 4, cv2.COLOR_BGRA2RGB),
        "mono8": ("u1", 1, cv2.COLOR_GRAY2RGB),
        "mono16": ("u2", 1, cv2.COLOR_GRAY2RGB),
        # OpenCV's type names say nothing of colour; by ROS convention they hold its own order, blue first.
        "8UC1": ("u1", 1, cv2.COLOR_GRAY2RGB),
        "8UC3": ("u1", 3, cv2.COLOR_BGR2RGB),
        "8UC4": ("u1", 4, cv2.COLOR_BGRA2RGB),
        "yuv422": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
        "uyvy": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
        "yuv422_yuy2": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
        "yuyv": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
        **{f"bayer_{order}8": ("u1", 1, code) for order, code in _BAYER.items()},
        **{f"bayer_{order}16": ("u2", 1, code) for order, code in _BAYER.items()},
    }.items()
}


class ImageError(InputError):
    """A raw or compressed image that cannot be read; ``cause`` is a short key to count it by."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


def checked_layout(encoding: str, width: int, height: int, step: int, size: int) -> Layout:
    """The layout of a raw image whose fields fit together; the node and offline tracking refuse the same ones.

    Args:
        encoding, width, height, step: of a ``sensor_msgs/Image``.
        size: bytes in its data.

    Raises:
        ImageError: with cause ``encoding``, ``size``, ``step`` or ``data``.
    """
    layout = LAYOUTS.get(encoding)
    if layout is None:
        raise ImageError("encoding", f"encoding {encoding!r} is not one of {', '.join(LAYOUTS)}")
    if width <= 0 or height <= 0:
        raise ImageError("size", f"image of {width}x{height} pixels; width and height must be positive")
    if width * height > MAX_PIXELS:
        raise ImageError("size", f"image of {width}x{height} pixels; at most {MAX_PIXELS} pixels are accepted")
    if layout.channels == 2 and width % 2:
        raise ImageError(
            "size", f"{encoding} image of odd width {width}; two pixels share their colour, so it must be even"
        )
    if encoding.startswith("bayer_") and (width < 2 or height < 2):
        raise ImageError("size", f"{encoding} image of {width}x{height} pixels; a Bayer pattern needs at least 2x2")
    row_bytes = width * layout.channels * np.dtype(layout.kind).itemsize
    if step < row_bytes:
        raise ImageError("step", f"step {step} is smaller than a row of {width} {encoding} pixels ({row_bytes} bytes)")
    if size < step * height:
        raise ImageError("data", f"{size} bytes of data; {height} rows of step {step} need {step * height}")
    return layout


def decode_image(
    encoding: str,
    width: int,
    height: int,
    step: int,
    data: bytes | bytearray | memoryview | np.ndarray,
    is_bigendian: bool = False,
) -> np.ndarray:
    """The pixels of a ``sensor_msgs/Image`` as a new HxWx3 uint8 RGB array.

    Args:
        encoding: one of ROS's names: rgb8 bgr8 rgba8 bgra8 (and ..16), mono8, mono16, bayer_*8, bayer_*16, yuv422,
            yuv422_yuy2, uyvy, yuyv, 8UC1, 8UC3, 8UC4.
        width, height: in pixels.
        step: bytes from one row to the next, padding included.
        data: step * height bytes.
        is_bigendian: byte order of 16-bit encodings.

    Raises:
        ImageError: unknown encoding, zero or absurd size, step too small for a row, fewer bytes than the rows need.
    """
    buffer = np.frombuffer(data, np.uint8)
    kind, channels, to_rgb = checked_layout(encoding, width, height, step, buffer.size)
    row_bytes = width * channels * np.dtype(kind).itemsize
    rows = np.ascontiguousarray(buffer[: step * height].reshape(height, step)[:, :row_bytes])
    pixels = rows.view(np.dtype(kind).newbyteorder(">" if is_bigendian else "<")).reshape(height, width, channels)
    if kind == "u2":
        pixels = to_8_bit(pixels)
    return cv2.cvtColor(pixels, to_rgb) if to_rgb is not None else np.array(pixels)


def decode_message(message) -> np.ndarray:
    """``decode_image`` for anything with the fields of a ``sensor_msgs/Image``."""
    m = message
    return decode_image(m.encoding, m.width, m.height, m.step, m.data, bool(m.is_bigendian))


def decode_compressed(data: bytes | memoryview | np.ndarray) -> np.ndarray:
    """The pixels of a PNG or JPEG file's bytes as HxWx3 uint8 RGB; alpha is dropped, grey repeated.

    Raises:
        InputError: neither of these, damaged or cut off (OpenCV would hand back grey rows instead), absurdly large.
    """
    raw = bytes(data)
    try:
        with Image.open(io.BytesIO(raw), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(
                    f"image of {image.width}x{image.height} pixels; at most {MAX_PIXELS} pixels are accepted"
                )
            if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip it at 255
                return cv2.cvtColor(to_8_bit(np.array(image).astype(np.uint16)), cv2.COLOR_GRAY2RGB)
            return np.array(image.convert("RGB"))
    except InputError:
        raise
    # Pillow's readers report damage by many types, SyntaxError among them.
    except Exception as error:  # noqa: BLE001
        raise InputError(f"not a whole image file ({first_line(error)})") from None


def to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """Scales uint16 (full range 65535) to uint8 (255), rounding, as cv_bridge does."""
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
