"""Reads BDD100K's segmentation tracking set (MOTS 2020): videos at 5 Hz with RGBA bitmasks of eight thing classes.

Source: https://doc.bdd100k.com/format.html (bitmasks, attributes, categories).
"""

from pathlib import Path

import numpy as np

from mapt_ros.data.frames import Dataset, pair_files, read_png, subfolders
from mapt_ros.data.labels import BDD100K, VOID_CLASS, encode_labels
from mapt_ros.errors import InputError

BITMASKS = Path("labels/seg_track_20/bitmasks")
IMAGES = Path("images/seg_track_20")

# G = truncated << 3 | occluded << 2 | crowd << 1 | ignored
_NO_INSTANCE = 0b0011


def is_bdd100k(folder: Path) -> bool:
    """Whether a folder has the layout's folder of bitmasks."""
    return (folder / BITMASKS).is_dir()


def open_bdd100k(folder: Path, split: str | None = None) -> Dataset:
    """The videos of ``images/seg_track_20/<split>/<video>/<video>-%07d.jpg`` and their bitmasks beside.

    Args:
        folder: with ``images`` and ``labels``, as the downloads unpack.
        split: ``train`` or ``val``; without, all that have bitmasks (videos are then named ``<split>/<video>`` if there
            is more than one split).

    Raises:
        InputError: no such split, no videos, or images and bitmasks that do not belong together.
    """
    splits = [f.name for f in subfolders(folder / BITMASKS)]
    if split is not None and split not in splits:
        raise InputError(f"{folder / BITMASKS}: has no split {split!r}; it has {', '.join(splits) or 'none'}")
    chosen = splits if split is None else [split]
    sequences = [
        pair_files(f.name if len(chosen) == 1 else f"{name}/{f.name}", folder / IMAGES / name / f.name, f, read_bitmask)
        for name in chosen
        for f in subfolders(folder / BITMASKS / name)
    ]
    if not sequences:
        raise InputError(f"{folder / BITMASKS / (split or '')}: is empty; expected <split>/<video>/<video>-0000001.png")
    return Dataset(folder, BDD100K, tuple(sequences))


def read_bitmask(path: Path) -> np.ndarray:
    """An RGBA bitmask (R = category, G = attributes, B * 256 + A = id) as an HxW int32 label map.

    Background (category 0) becomes unlabelled, for nothing says what it is. What is marked as crowd or ignored becomes
    crowd: its class with track id 0.

    Raises:
        InputError: it cannot be read, is not an 8-bit RGBA PNG, or has a category that is none.
    """
    pixels = read_png(path, "RGBA", "an 8-bit RGBA PNG (R = category, G = attributes, B * 256 + A = id)")
    category, attributes, high, low = (pixels[..., i] for i in range(4))
    if category.size and category.max() > len(BDD100K.classes):
        raise InputError(f"{path}: category {category.max()} is none of BDD100K's (1 to 8, 0 = background)")
    ids = high.astype(np.int32) * 256 + low
    ids[(attributes & _NO_INSTANCE) != 0] = 0
    return encode_labels(np.where(category == 0, VOID_CLASS, category), ids)
