"""Reads KITTI-STEP and MOTChallenge-STEP folders, and any other in their layout, such as the procedural world.

Source: deeplab2's pages on KITTI-STEP and MOTChallenge-STEP (folders, encoding, classes).
"""

from pathlib import Path

import numpy as np

from mapt_ros.data.frames import Dataset, Sequence, has_files, pair_files, read_png, subfolders
from mapt_ros.data.labels import KITTI_STEP, MOTCHALLENGE_STEP, ClassSet, decode_labels, step_png_to_labels
from mapt_ros.errors import InputError

MAPS = "panoptic_maps"


def is_step(folder: Path) -> bool:
    """Whether a folder has the layout's folder of label maps."""
    return (folder / MAPS).is_dir()


def open_step(folder: Path, split: str | None = None) -> Dataset:
    """The sequences of ``images/[split/]<sequence>/%06d.png`` (or ``.jpg``) and ``panoptic_maps/[split/]<sequence>/%06d.png``.

    The class set is recognised by the label maps: KITTI-STEP, unless class 4 carries track ids and no class is above 6.

    Args:
        split: ``train``, ``val``, ...; without, all that have label maps (sequences are then named
            ``<split>/<sequence>`` if there is more than one split).

    Raises:
        InputError: no such split, no sequences, or images and label maps that do not belong together.
    """
    maps, images = folder / MAPS, folder / "images"
    folders = subfolders(maps)
    splits = [f.name for f in folders if not has_files(f) and subfolders(f)]
    if split is not None and split not in splits:
        known = f"has {', '.join(splits)}" if splits else "has no splits, so leave the split out"
        raise InputError(f"{maps}: has no split {split!r}; it {known}")
    chosen = [split] if split is not None else splits
    if not chosen:
        sequences = [_sequence(f.name, images / f.name, f) for f in folders]
    else:
        sequences = [
            _sequence(f.name if len(chosen) == 1 else f"{name}/{f.name}", images / name / f.name, f)
            for name in chosen
            for f in subfolders(maps / name)
        ]
    if not sequences:
        raise InputError(
            f"{maps if split is None else maps / split}: is empty; expected label maps such as 0000/000000.png"
        )
    return Dataset(folder, _recognise_classes(sequences), tuple(sequences))


def read_step_map(path: Path) -> np.ndarray:
    """A KITTI-STEP PNG (R = class, G * 256 + B = track id) as an HxW int32 label map.

    Raises:
        InputError: it cannot be read, is not an 8-bit RGB PNG, or has class ids that no label map can hold.
    """
    pixels = read_png(path, "RGB", "an 8-bit RGB PNG (R = class, G * 256 + B = track id)")
    classes = pixels[..., 0]
    if ((classes > 127) & (classes != 255)).any():  # beyond 32 bits with the sign that stands for unlabelled
        wrong = classes[(classes > 127) & (classes != 255)][0]
        raise InputError(f"{path}: class {wrong} is none of KITTI-STEP's (0 to 18, 255 = void)")
    return step_png_to_labels(pixels)


def _sequence(name: str, images: Path, maps: Path) -> Sequence:
    return pair_files(name, images, maps, read_step_map)


def _recognise_classes(sequences: list[Sequence]) -> ClassSet:
    """Both sets share layout and encoding; MOTChallenge-STEP's 4 is a person with an id, KITTI-STEP's a fence without."""
    for sequence in sequences:
        class_ids, track_ids = decode_labels(sequence.labels(0))
        known = class_ids != 255
        if known.any() and class_ids[known].max() > 6:
            return KITTI_STEP
        if track_ids[class_ids == 4].any():
            return MOTCHALLENGE_STEP
    return KITTI_STEP
