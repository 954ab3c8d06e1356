"""Labelled image sequences on disk, read lazily: what every dataset reader hands out, and how their files are read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mapt_ros.data.labels import ClassSet
from mapt_ros.errors import InputError, first_line

Frame = tuple[np.ndarray, np.ndarray]  # HxWx3 uint8 RGB, HxW int32 label map
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")

_NUMBER = re.compile(r"(?:.*-)?(\d+)")  # 000012 and b1c66a42-6f7d68ca-0000012
_COLOUR = {"RGB": "RGB", "RGBA": "RGB", "L": "RGB", "P": "RGB"}  # kinds of 8-bit images, all read as RGB
_PNG_DEPTH = 24  # where a PNG says how many bits a channel has


@dataclass(frozen=True)
class Sequence:
    """The labelled frames of one camera in order; nothing is read before it is asked for.

    Attributes:
        name: of the sequence, unique in its dataset.
        numbers: of the frames, as in their file names; strictly increasing.
        image_files, label_files: one of each a frame.
        read_labels: turns a label file into an HxW int32 label map.
    """

    name: str
    numbers: tuple[int, ...]
    image_files: tuple[Path, ...]
    label_files: tuple[Path, ...]
    read_labels: Callable[[Path], np.ndarray]

    def __len__(self) -> int:
        return len(self.image_files)

    def frame(self, i: int) -> Frame:
        """The i-th frame: HxWx3 uint8 RGB and HxW int32 label map.

        Raises:
            InputError: a file cannot be read, or the two differ in size.
        """
        image, labels = read_image(self.image_files[i]), self.labels(i)
        if image.shape[:2] != labels.shape:
            raise InputError(
                f"{self.label_files[i]}: is {labels.shape[1]}x{labels.shape[0]} pixels, its image"
                f" {self.image_files[i]} is {image.shape[1]}x{image.shape[0]}; they must be of one size"
            )
        return image, labels

    def labels(self, i: int) -> np.ndarray:
        """The i-th label map alone, HxW int32.

        Raises:
            InputError: the file cannot be read or is of the wrong kind.
        """
        return self.read_labels(self.label_files[i])


@dataclass(frozen=True)
class Dataset:
    """Sequences whose label maps use one class set."""

    folder: Path
    classes: ClassSet
    sequences: tuple[Sequence, ...]


def read_image(path: Path) -> np.ndarray:
    """An 8-bit image file as HxWx3 uint8 RGB.

    Raises:
        InputError: missing, damaged, cut off, or not of 8 bits a channel.
    """
    return _read(path, _COLOUR, "an image of 8 bits a channel")[1].copy()


def read_png(path: Path, mode: str, expected: str) -> np.ndarray:
    """A PNG as it is stored, HxWxC uint8, not to be written to.

    Args:
        mode: the only kind accepted, Pillow's ``RGB`` or ``RGBA``.
        expected: how to name that kind, such as "an 8-bit RGB PNG".

    Raises:
        InputError: missing, damaged, cut off, or of another kind.
    """
    kind, pixels = _read(path, {mode: mode}, expected)
    if kind != "PNG":
        raise InputError(f"{path}: is a {kind} file, expected {expected}")
    with path.open("rb") as file:
        depth = file.read(_PNG_DEPTH + 1)[_PNG_DEPTH]
    if depth != 8:  # Pillow would hand out the upper halves, and ids of another class
        raise InputError(f"{path}: is a PNG of {depth} bits a channel, expected {expected}")
    return pixels


def pair_files(
    name: str, image_folder: Path, label_folder: Path, read_labels: Callable[[Path], np.ndarray]
) -> Sequence:
    """The sequence of all label files of a folder, each with the image of the same number.

    Raises:
        InputError: a folder is missing or empty, a name has no number, a number is there twice, or an image or a label
            lacks its partner.
    """
    label_files = _numbered(label_folder, (".png",))
    if not label_files:
        raise InputError(f"{label_folder}: is empty; expected label maps such as 000000.png")
    image_files = _numbered(image_folder, IMAGE_SUFFIXES)
    for files, others, wanted, place in (
        (label_files, image_files, "image", image_folder),
        (image_files, label_files, "label map", label_folder),
    ):
        lonely = next((files[number] for number in sorted(files) if number not in others), None)
        if lonely is not None:
            raise InputError(f"{lonely}: has no {wanted} of its number in {place}")
    numbers = tuple(sorted(label_files))
    return Sequence(
        name, numbers, tuple(image_files[n] for n in numbers), tuple(label_files[n] for n in numbers), read_labels
    )


def subfolders(folder: Path) -> list[Path]:
    """The visible folders in a folder, in order; none where it is missing.

    Raises:
        InputError: it cannot be listed.
    """
    return [entry for entry in _entries(folder) if entry.is_dir()] if folder.is_dir() else []


def has_files(folder: Path) -> bool:
    """Whether images or label maps lie in the folder itself."""
    return any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in _entries(folder))


def _numbered(folder: Path, suffixes: tuple[str, ...]) -> dict[int, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: is missing; every sequence needs a folder of images and one of label maps")
    files: dict[int, Path] = {}
    for path in _entries(folder):
        if path.suffix.lower() not in suffixes:
            continue
        number = _NUMBER.fullmatch(path.stem)
        if number is None:
            raise InputError(f"{path}: its name does not end in a frame number such as 000000{path.suffix}")
        if other := files.get(int(number[1])):
            raise InputError(f"{path}: frame {int(number[1])} is there twice, also as {other.name}")
        files[int(number[1])] = path
    return files


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror})") from None


def _read(path: Path, modes: dict[str, str], expected: str) -> tuple[str, np.ndarray]:
    """A file's format, and its pixels in the mode that ``modes`` gives for the one it is stored in; Pillow's, read-only."""
    try:
        # Pillow rather than OpenCV, which would hand back grey rows where a file is cut off.
        with Image.open(path) as image:
            kind, mode = str(image.format), image.mode
            if mode in modes:
                return kind, np.asarray(image if mode == modes[mode] else image.convert(modes[mode]))
    except FileNotFoundError:
        raise InputError(f"{path}: is missing") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: is not a whole image file") from None
    # Pillow's readers report damage by many types, SyntaxError among them.
    except Exception as error:  # noqa: BLE001
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{path}: cannot be read ({reason})") from None
    raise InputError(f"{path}: is a {kind} file of mode {mode}, expected {expected}")
