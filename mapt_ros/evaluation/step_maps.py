"""Finds and reads panoptic maps on disk: folders and PNGs in the KITTI-STEP layout, ground truth beside predictions."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mapt_ros.data.frames import has_files, read_png, subfolders
from mapt_ros.data.step import MAPS
from mapt_ros.errors import InputError


@dataclass(frozen=True)
class SequencePair:
    """One sequence of ground truth and what was predicted for it.

    Attributes:
        name: of the sequence's folder.
        frames: (frame number, true map, predicted map or None where there is none) in order.
    """

    name: str
    frames: tuple[tuple[int, Path, Path | None], ...]

    @property
    def missing(self) -> list[str]:
        """``<sequence>/%06d`` of every frame without a prediction."""
        return [_frame_name(self.name, number) for number, _, predicted in self.frames if predicted is None]


def pair_folders(truth: Path, predicted: Path) -> tuple[list[SequencePair], list[str]]:
    """The sequences of ground truth with their predictions, and the predicted frames that have no ground truth.

    Args:
        truth: a folder with ``panoptic_maps/[split/]<sequence>/%06d.png``, or with the sequences or their split directly
            in it; of several splits one has to be named.
        predicted: likewise, the split is the ground truth's; sequences and frames go by their names.

    Raises:
        InputError: a folder is missing, has several splits or holds no sequences of ground truth, or a PNG's name is
            not a number.
    """
    true_place = _place(truth)
    true_maps, predicted_maps = _sequences(true_place), _sequences(_place(predicted, true_place.name))
    if not any(true_maps.values()):
        raise InputError(
            f"{truth}: no ground truth there; expected panoptic_maps/<sequence>/000000.png or <sequence>/000000.png"
        )
    pairs = []
    for name, frames in true_maps.items():
        others = predicted_maps.get(name, {})
        pairs.append(SequencePair(name, tuple((n, frames[n], others.get(n)) for n in sorted(frames))))
    extra = [
        _frame_name(name, number)
        for name, frames in predicted_maps.items()
        for number in sorted(frames)
        if number not in true_maps.get(name, {})
    ]
    return [pair for pair in pairs if pair.frames], extra


def read_map(path: Path, void: int) -> np.ndarray:
    """A PNG in KITTI-STEP's encoding (R = class, G * 256 + B = id) as HxW int64 labels, -1 where the class is ``void``.

    Labels are ``class_id * LABEL_DIVISOR + track_id``; they have 64 bits because classes above 127 need them.

    Raises:
        InputError: the file is missing, damaged, cut off, or not an 8-bit RGB PNG.
    """
    pixels = read_png(path, "RGB", "an 8-bit RGB PNG as panoptic maps are")
    # A label is the number 0xRR00GGBB.
    labels = np.zeros(pixels.shape[:2], "<i8")
    cv2.mixChannels([pixels], [labels.view(np.uint8).reshape(*labels.shape, 8)], [0, 3, 1, 1, 2, 0])
    labels[cv2.extractChannel(pixels, 0) == void] = -1
    return labels


def _place(root: Path, split: str | None = None) -> Path:
    """The folder with a root's sequences: in ``panoptic_maps`` if it has that, and in its split if it has splits.

    Args:
        split: which of several.
    """
    if not root.is_dir():
        raise InputError(f"{root}: is not a folder")
    maps = root / MAPS if (root / MAPS).is_dir() else root
    folders = subfolders(maps)
    splits = [] if any(map(has_files, folders)) else [f for f in folders if any(map(has_files, subfolders(f)))]
    chosen = splits if len(splits) == 1 else [f for f in splits if f.name == split]
    if splits and not chosen:
        raise InputError(f"{root}: has the splits {', '.join(f.name for f in splits)}; name one, such as {splits[0]}")
    return chosen[0] if chosen else maps


def _sequences(place: Path) -> dict[str, dict[int, Path]]:
    """Sequence -> frame number -> file, sequences in order."""
    try:
        return {folder.name: _frames(folder) for folder in subfolders(place)}
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be listed ({error.strerror})") from None


def _frames(folder: Path) -> dict[int, Path]:
    frames: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() != ".png" or path.name.startswith("."):
            continue
        if not (path.stem.isascii() and path.stem.isdigit()):
            raise InputError(f"{path}: its name is not a frame number such as 000000.png")
        if int(path.stem) in frames:
            raise InputError(f"{path}: frame {int(path.stem)} is there twice, also as {frames[int(path.stem)].name}")
        frames[int(path.stem)] = path
    return frames


def _frame_name(sequence: str, number: int) -> str:
    return f"{sequence}/{number:06d}"
