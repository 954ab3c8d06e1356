"""Finds image sequences in folders: KITTI raw, tracking and STEP layouts with their stamps and calibration, or any folder.

Layouts: KITTI raw data page (``<date>/<date>_drive_<n>_sync/image_02/data``), KITTI tracking (``image_02/0000``),
KITTI-STEP (``images/val/0002``).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mapt_ros.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
KITTI_PERIOD_NS = 100_000_000  # the cameras are triggered ten times a second

_CAMERA = re.compile(r"image_(0[0-3])")
_NUMBERED = re.compile(r"\d{6}|\d{10}")  # KITTI's file names: tracking and STEP, raw
_NEVER_IMAGES = {"panoptic_maps", "calib", "oxts", "velodyne_points"}
_DEPTH = 5  # <date>/<drive>/image_02/data is the deepest layout


@dataclass(frozen=True)
class ImageSequence:
    """The frames of one camera in order.

    Attributes:
        name: of the sequence, such as ``0002`` or ``2011_09_26_drive_0001_sync``; safe as a folder name.
        folder: where the images lie.
        frames: image files in order (not opened yet).
        indices: number of each frame: the one in its file name for KITTI's numbering, else its position.
        stamps_ns: from the dataset's ``timestamps.txt``, or None where there is none.
    """

    name: str
    folder: Path
    frames: tuple[Path, ...]
    indices: tuple[int, ...]
    stamps_ns: tuple[int, ...] | None = None

    def stamps_or_10_hz(self) -> tuple[int, ...]:
        """The dataset's stamps in nanoseconds; without any, ten frames a second, the first frame at 0."""
        if self.stamps_ns is not None:
            return self.stamps_ns
        return tuple((index - self.indices[0]) * KITTI_PERIOD_NS for index in self.indices)

    def gaps(self) -> list[str]:
        """One line for each run of numbers that is missing between two frames."""
        return [
            f"{self.folder}: frames {before + 1} to {after - 1} are missing"
            for before, after in zip(self.indices, self.indices[1:], strict=False)
            if after > before + 1
        ]


def find_sequences(path: Path) -> list[ImageSequence]:
    """The image sequences at or under a folder, in natural order; of several cameras in a drive, ``image_02``.

    Raises:
        InputError: no images there, or a ``timestamps.txt`` that does not fit them.
    """
    path = Path(path)
    folders = _image_folders(path, _DEPTH)
    if not folders:
        raise InputError(f"{path}: no images there (looked for {', '.join(IMAGE_SUFFIXES)}, also in subfolders)")
    names = [_sequence_name(folder) for folder in folders]
    if len(set(names)) < len(names):  # such as train/0000 beside test/0000
        names = ["_".join(folder.relative_to(path).parts) for folder in folders]
    return [_sequence(safe_name(name), folder) for name, folder in zip(names, folders, strict=True)]


def natural_key(path: Path) -> list:
    """Sort key that puts ``frame10`` after ``frame9``."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", path.name)]


def safe_name(name: str) -> str:
    """A name that can only ever be one folder below its parent: letters, digits, ``_ . -``, never starting with a dot."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).lstrip(".") or "sequence"


def find_calibration(folder: Path) -> Path | None:
    """The dataset's own calibration file for an image folder: raw's ``calib_cam_to_cam.txt``, tracking's ``calib/0000.txt``."""
    for parent in [folder, *folder.parents][:_DEPTH]:
        for candidate in (parent / "calib_cam_to_cam.txt", parent / "calib" / f"{folder.name}.txt"):
            if candidate.is_file():
                return candidate
    return None


def read_calibration(path: Path, folder: Path) -> np.ndarray:
    """The 3x4 float64 projection matrix of the rectified camera that took a folder's images.

    Args:
        path: ``calib_cam_to_cam.txt`` of KITTI raw (``P_rect_02``) or a calibration file of KITTI tracking (``P2``).
        folder: image folder; its ``image_0N`` says which camera, 02 where there is none.

    Raises:
        InputError: the file cannot be read or holds no such matrix.
    """
    camera = next((m[1] for part in reversed(folder.parts) if (m := _CAMERA.fullmatch(part))), "02")
    wanted = (f"P_rect_{camera}", f"P{int(camera)}")
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a KITTI calibration ({error})") from None
    for line in lines:
        key, *values = line.replace(":", " ", 1).split()[:13] or [""]
        if key in wanted:
            try:
                return np.array([float(v) for v in values]).reshape(3, 4)
            except ValueError:
                raise InputError(f"{path}: {key} must have 12 numbers, has {' '.join(values)!r}") from None
    raise InputError(f"{path}: has no projection matrix {wanted[0]} (KITTI raw) or {wanted[1]} (KITTI tracking)")


def read_timestamps(path: Path) -> list[int]:
    """Stamps in nanoseconds since 1970 of KITTI raw's ``timestamps.txt`` (``2011-09-26 13:02:25.964389445``).

    The file names no time zone; the times are taken as UTC, which keeps their distances.

    Raises:
        InputError: a line is not a time, or time does not move forward.
    """
    stamps: list[int] = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            stamp = int(np.datetime64(line.strip().replace(" ", "T"), "ns").astype(np.int64))
        except ValueError:
            raise InputError(f"{path}: line {number} is not a time such as 2011-09-26 13:02:25.964389445") from None
        if stamps and stamp <= stamps[-1]:
            raise InputError(f"{path}: line {number} is not later than the line before it")
        stamps.append(stamp)
    return stamps


def _image_folders(path: Path, depth: int) -> list[Path]:
    """Folders with images at or under ``path``; a layout's own image folder is preferred over its neighbours."""
    try:
        entries = sorted(path.iterdir(), key=natural_key)
    except OSError as error:
        raise InputError(f"{path}: cannot be listed ({error.strerror})") from None
    # A dangling link counts as a frame, so that it is reported instead of silently left out.
    if any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries):
        return [path]
    if depth == 0:
        return []
    for chosen in (path / "images", path / "image_02"):
        if chosen.is_dir() and (found := _image_folders(chosen, depth - 1)):
            return found
    folders = [e for e in entries if e.is_dir() and e.name not in _NEVER_IMAGES and not e.name.startswith(".")]
    return [found for folder in folders for found in _image_folders(folder, depth - 1)]


def _sequence_name(folder: Path) -> str:
    """The first part of the path, from the end, that is not merely KITTI's name for a camera."""
    parts = folder.resolve().parts
    return next((p for p in reversed(parts) if p != "data" and not _CAMERA.fullmatch(p)), folder.name)


def _sequence(name: str, folder: Path) -> ImageSequence:
    frames = sorted((f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)
    numbered = all(_NUMBERED.fullmatch(frame.stem) for frame in frames)
    indices = tuple(int(frame.stem) for frame in frames) if numbered else tuple(range(len(frames)))
    if len(set(indices)) < len(indices):  # 000000.png beside 000000.jpg
        raise InputError(f"{folder}: two images share a number; keep one file a frame")
    timestamps = folder.parent / "timestamps.txt"
    stamps = None
    if folder.name == "data" and timestamps.is_file():
        lines = read_timestamps(timestamps)
        if indices[-1] >= len(lines):
            raise InputError(f"{timestamps}: has {len(lines)} stamps, but the last image is {frames[-1].name}")
        stamps = tuple(lines[index] for index in indices)
    return ImageSequence(name, folder, tuple(frames), indices, stamps)
