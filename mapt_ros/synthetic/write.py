"""Writes sequences of the procedural world in the KITTI-STEP layout, a process a core, each sequence whole or not at all."""

import importlib
import json
import multiprocessing
import os
import re
import shutil
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from mapt_ros.data.labels import labels_to_step_png
from mapt_ros.errors import InputError
from mapt_ros.replay.files import partial_name, writing
from mapt_ros.synthetic.scenarios import scenario_settings

SPLITS = ("train", "val")
FACTS = "scenario.json"  # beside a sequence's images: what it was made from
CALIBRATION = "calib_cam_to_cam.txt"  # beside them too, with the line that KITTI raw has for the left colour camera
_PNG_EFFORT = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # noise does not shrink, however hard one tries


@dataclass(frozen=True)
class Order:
    """What one sequence is to be made from; written beside it, so that a later run knows whether it is the same.

    ``drive`` is the number of frames of the drive that the sequence is a stretch of; 0: the sequence is a drive of its own.
    """

    scenario: str
    seed: int
    sequence: int
    frames: int
    height: int
    width: int
    drive: int = 0

    @property
    def world_seed(self) -> int:
        """The world's seed: sets of different seeds never share a sequence."""
        state = np.random.SeedSequence((self.seed, self.sequence)).generate_state(2, np.uint32)
        return int(state[0]) << 32 | int(state[1])

    @property
    def first(self) -> int:
        """Which frame of the drive is the sequence's first: any that leaves room for the others."""
        random = np.random.default_rng((self.seed, self.sequence))
        return int(random.integers(self.drive - self.frames + 1)) if self.drive else 0


def synthesise(
    out: Path,
    *,
    seed: int,
    sequences: int,
    frames: int,
    scenario: str = "mixed",
    height: int = 192,
    width: int = 640,
    drive: int | None = None,
    split: str = "train",
    processes: int = 1,
    background: bool = False,
) -> dict:
    """Writes ``images/<split>/%04d/%06d.png`` and ``panoptic_maps/<split>/%04d/%06d.png`` under a folder.

    Sequences that are there already are kept. Beside the images of each lie ``scenario.json`` and a calibration as
    KITTI raw has it.

    Args:
        out: the folder.
        seed: of the set; the same seed gives the same bytes with any number of processes.
        sequences: how many, numbered from 0.
        frames: of each sequence.
        scenario: one of ``SCENARIOS``.
        height, width: pixels.
        drive: frames of the drives that the sequences are stretches of, each from anywhere in its own; none: they are
            drives of their own, and nobody is much farther than the ego vehicle gets in them.
        split: train or val.
        processes: how many work at a time.
        background: whether they yield to everything else on the machine, and no progress is shown.

    Returns:
        What was written: folder, sequences, frames, how many sequences were kept from before.

    Raises:
        InputError: a wrong parameter, a folder that cannot be written or that holds sequences of something else, or no
            ray tracer installed.
    """
    scenario_settings(scenario)
    _world_module().check_world(seed, frames, height, width)
    if drive is not None and drive < frames:
        raise InputError(f"drive: must be at least as long as its stretches of {frames} frames, is {drive}")
    if split not in SPLITS:
        raise InputError(f"split: must be one of {', '.join(SPLITS)}, is {split!r}")
    if not 1 <= sequences <= 10_000:
        raise InputError(f"sequences: must be between 1 and 10000, is {sequences}")
    out = Path(out)
    orders = [Order(scenario, seed, k, frames, height, width, drive or 0) for k in range(sequences)]
    missing = [order for order in orders if not _is_there(out, split, order)]
    with writing(out):
        for kind in ("images", "panoptic_maps"):
            (out / kind / split).mkdir(parents=True, exist_ok=True)
    work = partial(write_sequence, out, split)
    done = (sequences - len(missing)) * frames
    with tqdm(total=sequences * frames, initial=done, unit="frame", disable=background) as progress:
        if min(processes, len(missing)) <= 1 and not background:
            for order in missing:
                work(order)
                progress.update(frames)
        else:
            workers = max(1, min(processes, len(missing)))
            yielding = {"initializer": os.nice, "initargs": (10,)} if background else {}
            with multiprocessing.get_context("spawn").Pool(workers, **yielding) as pool:
                for _ in pool.imap_unordered(work, missing):
                    progress.update(frames)
    return {
        "out": str(out),
        "scenario": scenario,
        "split": split,
        "sequences": sequences,
        "frames": sequences * frames,
        "kept": sequences - len(missing),
    }


def write_sequence(out: Path, split: str, order: Order) -> None:
    """Renders one sequence into hidden folders and moves them to their places when they are whole.

    Raises:
        InputError: they cannot be written; nothing is left behind.
    """
    cv2.setNumThreads(1)
    world = _world_module().World(
        order.scenario, order.world_seed, order.drive or order.frames, order.height, order.width
    )
    places = [out / kind / split / f"{order.sequence:04d}" for kind in ("panoptic_maps", "images")]
    hidden = [partial_name(place) for place in places]
    try:
        with writing(places[1]):
            for folder in hidden:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            for index in range(order.frames):
                frame = world[order.first + index]
                for folder, rgb in zip(hidden, (labels_to_step_png(frame.labels), frame.image), strict=True):
                    png = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _PNG_EFFORT)[1]
                    (folder / f"{index:06d}.png").write_bytes(png.tobytes())
            facts = asdict(order) | {
                "rate_hz": world.rate_hz,
                "style": world.town.style,
                "camera": asdict(world.camera),
            }
            (hidden[1] / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
            (hidden[1] / CALIBRATION).write_text(_calibration(world.camera))
            # The images come last: where they are, the sequence is whole.
            for folder, place in zip(hidden, places, strict=True):
                if place.exists():
                    shutil.rmtree(place)
                folder.rename(place)
    finally:
        for folder in hidden:
            shutil.rmtree(folder, ignore_errors=True)


def parse_size(size: str) -> tuple[int, int]:
    """Height and width from ``HEIGHTxWIDTH``.

    Raises:
        InputError: it is not written like that.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if match is None:
        raise InputError(f"size: must be HEIGHTxWIDTH such as 192x640, is {size!r}")
    return int(match[1]), int(match[2])


def _world_module():
    """The module ``world``, which needs what only the extra ``world`` installs."""
    try:
        return importlib.import_module("mapt_ros.synthetic.world")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("embreex", "trimesh"):
            raise
        raise InputError(f"the procedural world needs {error.name}: pip install 'mapt_ros[world]'") from None


def _calibration(camera) -> str:
    """The projection matrix as KITTI raw's ``calib_cam_to_cam.txt`` gives it."""
    matrix = [camera.focal, 0, camera.center[0], 0, 0, camera.focal, camera.center[1], 0, 0, 0, 1, 0]
    return "P_rect_02: " + " ".join(f"{float(value):.6e}" for value in matrix) + "\n"


def _is_there(out: Path, split: str, order: Order) -> bool:
    """Whether a sequence has been written before.

    Raises:
        InputError: another one has its place.
    """
    folder = out / "images" / split / f"{order.sequence:04d}"
    if not folder.exists():
        return False
    try:
        facts = json.loads((folder / FACTS).read_text())
        found = Order(**{key: facts[key] for key in asdict(order) if key in facts})
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError(f"{folder}: is no sequence written here before; choose another folder") from None
    if found != order:
        wrong = next(key for key, value in asdict(order).items() if getattr(found, key) != value)
        raise InputError(
            f"{folder}: has {wrong} {getattr(found, wrong)}, not {getattr(order, wrong)}; choose another folder"
        )
    return True
