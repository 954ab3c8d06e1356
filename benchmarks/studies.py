"""Runs all studies of ``mapt experiment`` on a small procedural set and fills their tables into docs/experiments.md.

    python -m benchmarks.studies [--weights compact] [--out out/studies] [--study NAME ...] [--docs]

What is missing of the set (seeds from 100000, which nothing is trained on) is drawn into the cache first;
``fusion-order`` looks at the scenario ``occlusion``, ``failure-cases`` at all scenarios, the others at ``mixed``. For
``cross-dataset`` the same sequences are also written as MOTChallenge-STEP and BDD100K would label them; ``--real`` adds
real ones. ``interval`` fine-tunes the weights for a few steps on sequences of other seeds. A killed run goes on.
"""

import argparse
import os
import re
from pathlib import Path

import cv2
import numpy as np
import yaml

from benchmarks.command import start
from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.labels import (
    BDD100K,
    KITTI_STEP,
    MOTCHALLENGE_STEP,
    VOID_CLASS,
    decode_labels,
    labels_to_step_png,
)
from mapt_ros.data.mappings import map_labels
from mapt_ros.evaluation.experiments.inputs import SEED, Limits
from mapt_ros.evaluation.experiments.runner import ExperimentOptions, run_experiment
from mapt_ros.evaluation.experiments.studies import STUDIES
from mapt_ros.resources import cache_dir, resource
from mapt_ros.synthetic.write import synthesise

PAGE = Path("docs/experiments.md")
DRAWN = ("rapid-motion", "failure-cases", "stq-vs-pat")  # whose plots the page shows
TRAINED_ON = 5  # seed of what ``interval`` trains on


def main() -> None:
    """Runs the studies in order and prints their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="compact")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("out/studies"))
    parser.add_argument("--study", action="append", choices=STUDIES, help="may be given again; all without")
    parser.add_argument("--data", type=Path, help="a dataset in the KITTI-STEP layout instead of the procedural one")
    parser.add_argument("--real", type=Path, action="append", default=[], help="one more dataset for cross-dataset")
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--steps", type=int, default=10, help="of each of interval's trainings")
    parser.add_argument("--docs", action="store_true", help=f"fill the tables into {PAGE}, the plots beside it")
    options = parser.parse_args()
    cache = cache_dir() / "evaluation" / f"studies_{options.sequences}x{options.frames}"
    mixed = options.data or _drawn(cache / "mixed", SEED, options.sequences, options.frames)
    for name in options.study or STUDIES:
        data, more = (mixed,), {}
        if name == "fusion-order" and not options.data:
            data = (_drawn(cache / "scenarios" / "occlusion", SEED, options.sequences, options.frames, "occlusion"),)
        elif name == "failure-cases":
            data, more = (cache / "scenarios",), {"seed": SEED}
        elif name == "cross-dataset":
            data = (mixed, *_relabelled(mixed, cache, options.sequences, options.frames), *options.real)
        elif name == "interval":
            more = {
                "train_data": _drawn(cache / "training", TRAINED_ON, 4, 10),
                "recipe": str(_short_recipe(cache)),
                "steps": options.steps,
            }
        limits = Limits(None, _sequences(name, options.sequences), options.frames)
        out = options.out / name
        run_experiment(ExperimentOptions(name, data, out, options.weights, options.device, limits, **more))
        print((out / "table.md").read_text(), flush=True)
        if options.docs:
            fill(PAGE, name, out)


def fill(page: Path, name: str, out: Path) -> None:
    """Puts a study's tables between its marks in the page, and its plot into ``images`` beside the page."""
    _, _, *parts = (out / "table.md").read_text().rstrip().split("\n\n")  # heading, question, tables, remarks
    if name == "stq-vs-pat":
        parts = parts[1:]  # the front speaks for the sweep
    text, marks = page.read_text(), rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    if not re.search(marks, text, re.DOTALL):
        raise SystemExit(f"{page}: has no marks <!-- {name} --> and <!-- /{name} -->")
    if name in DRAWN:
        image = page.parent / "images" / f"{name}.png"
        image.write_bytes((out / "plot.png").read_bytes())
        parts.append(f"![{name}](images/{image.name})")
    filled = "\n\n".join(parts)
    page.write_text(re.sub(marks, lambda match: f"{match[1]}{filled}\n{match[2]}", text, flags=re.DOTALL))


def _sequences(name: str, sequences: int) -> int:
    """How many a study looks at: fusion-order the more occluded half, and those that track a frame several times half."""
    return (sequences + 1) // 2 if name in ("fusion-order", "interval", "cross-dataset") else sequences


def _drawn(folder: Path, seed: int, sequences: int, frames: int, scenario: str = "mixed") -> Path:
    processes = os.cpu_count() or 1
    synthesise(
        folder, seed=seed, sequences=sequences, frames=frames, scenario=scenario, split="val", processes=processes
    )
    return folder


def _short_recipe(folder: Path) -> Path:
    """``compact_synthetic`` for a few steps from trained weights: one pair a step, a quarter of the rate, no
    average, the class biases that the weights come with."""
    values = yaml.safe_load(resource("config/train/compact_synthetic.yaml").read_text())
    values["stages"] = [values["stages"][-1] | {"batch": 1}]
    values["optimiser"]["learning_rate"] /= 4
    values |= {"weight_average": 0.0, "batch_norm": "frozen", "bias_frames": 0}
    path = folder / "interval.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values))
    return path


def _relabelled(folder: Path, cache: Path, sequences: int, frames: int) -> list[Path]:
    """The same images with the labels that MOTChallenge-STEP and BDD100K would give them, in their layouts."""
    step, bdd = cache / "as-motchallenge-step", cache / "as-bdd100k"
    for sequence in open_dataset(folder).sequences[:sequences]:
        name = sequence.name.replace("/", "_")
        for i in range(min(frames, len(sequence))):
            labels = map_labels(sequence.labels(i), KITTI_STEP, MOTCHALLENGE_STEP)
            map_ = labels_to_step_png(labels)[..., ::-1]
            _place(step / "images/val" / name / f"{i:06d}.png", sequence.image_files[i])
            _place(step / "panoptic_maps/val" / name / f"{i:06d}.png", map_)
            classes, ids = decode_labels(map_labels(sequence.labels(i), KITTI_STEP, BDD100K))
            things = classes != VOID_CLASS
            crowd = 2 * (things & (ids == 0))
            # OpenCV's order of R = class, G = attributes, B * 256 + A = id.
            bitmask = np.stack([ids >> 8, crowd, np.where(things, classes, 0), ids & 255], axis=-1).astype(np.uint8)
            place = Path("seg_track_20"), Path("val") / name / f"{name}-{i + 1:07d}.png"
            _place(bdd / "images" / place[0] / place[1], sequence.image_files[i])
            _place(bdd / "labels" / place[0] / "bitmasks" / place[1], bitmask)
    return [step, bdd]


def _place(path: Path, what: Path | np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(what, np.ndarray):
        cv2.imwrite(str(path), np.ascontiguousarray(what))
    elif not path.exists():
        path.symlink_to(what.resolve())


if __name__ == "__main__":
    start(main)
