"""Opens a labelled dataset, whichever of the known layouts its folder has."""

from pathlib import Path

from mapt_ros.data.bdd100k import BITMASKS, is_bdd100k, open_bdd100k
from mapt_ros.data.frames import Dataset
from mapt_ros.data.step import MAPS, is_step, open_step
from mapt_ros.errors import InputError


def open_dataset(folder: Path, split: str | None = None) -> Dataset:
    """The sequences of a folder in the layout of KITTI-STEP, MOTChallenge-STEP or BDD100K's segmentation tracking.

    Args:
        split: ``train``, ``val``, ... of a folder that has splits; without, all that have labels.

    Raises:
        InputError: no such folder, layout or split, or files that do not belong together.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder")
    if is_step(folder):
        return open_step(folder, split)
    if is_bdd100k(folder):
        return open_bdd100k(folder, split)
    raise InputError(f"{folder}: has neither {MAPS}/ (KITTI-STEP's layout) nor {BITMASKS}/ (BDD100K's)")
