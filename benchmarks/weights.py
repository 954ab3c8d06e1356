"""What shipped weights reach on procedural sequences they were never trained on, and what motion and appearance add.

    python -m benchmarks.weights [--weights compact] [--scenario mixed ...] [--seed 100000 ...] [--groups 8] [--json FILE]

Sequences are written to the cache first (seeds from 100000 are kept for evaluation). PAT, PQ, TQ and STQ are those of
``mapt evaluate`` with minimum area 0; every variant of the tracker sees the same detections. ``--groups N`` also scores
every N sequences of a seed for themselves, which tells how much the scores of so few can differ.
"""

import argparse
import copy
import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.command import start, tracker_settings
from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.frames import Dataset
from mapt_ros.evaluation.variants import Comparison, compare
from mapt_ros.resources import cache_dir
from mapt_ros.synthetic.scenarios import SCENARIOS
from mapt_ros.synthetic.write import synthesise
from mapt_ros.tracking.tracker import PanopticTracker

SEED = 100_000


def main() -> None:
    """Prints a table in Markdown and writes the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="compact")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="may be given again; all without")
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--seed", type=int, action="append", help=f"may be given again; {SEED} without")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a tracker setting")
    parser.add_argument("--groups", type=int, metavar="N", help="every N sequences for themselves too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.groups is not None and not 0 < options.groups <= options.sequences:
        parser.error(f"--groups {options.groups}: expected 1 to the number of sequences, {options.sequences}")
    settings = tracker_settings(options.set)
    PanopticTracker.load(options.weights, **settings)  # what is wrong with either is said before anything is rendered
    results, groups = {}, {}
    for scenario in options.scenario or SCENARIOS:
        outcomes = []
        for seed in dict.fromkeys(options.seed or [SEED]):
            of_seed = score(options.weights, written(scenario, seed, options.sequences, options.frames), settings)
            outcomes += of_seed
            for first in range(0, len(of_seed), options.groups) if options.groups else ():
                group = of_seed[first : first + options.groups]
                groups[f"{scenario} {seed}, {first + 1} to {first + len(group)}"] = numbers(merged(group))
        results[scenario] = numbers(merged(outcomes))
        print(json.dumps({scenario: results[scenario]}), flush=True)
    print(table(results | groups))
    if groups:
        print(spread(groups))
    if options.json:
        options.json.write_text(json.dumps(results | groups, indent=1) + "\n")


def written(scenario: str, seed: int, sequences: int, frames: int) -> Path:
    """The folder of these sequences, written now where the cache lacks it."""
    folder = cache_dir() / "evaluation" / f"{scenario}_{seed}_{sequences}x{frames}"
    synthesise(
        folder, seed=seed, sequences=sequences, frames=frames, scenario=scenario, split="val", processes=_processes()
    )
    return folder


def score(weights: str, folder: Path, settings: dict) -> list[Comparison]:
    """All variants over each sequence of a folder, as many sequences at a time as there are cores."""
    dataset = open_dataset(folder, "val")
    # names that no other folder's sequences have
    named = [replace(sequence, name=f"{folder.name}/{sequence.name}") for sequence in dataset.sequences]
    parts = [(weights, Dataset(folder, dataset.classes, (sequence,)), settings) for sequence in named]
    with ProcessPoolExecutor(_processes(), mp_context=get_context("spawn")) as pool:
        return list(tqdm(pool.map(_score, parts), total=len(parts), desc=folder.name, unit="sequence"))


def _processes() -> int:
    return len(os.sched_getaffinity(0))


def merged(outcomes: list[Comparison]) -> Comparison:
    """Those of several sequences as one; they stay as they are."""
    total = copy.deepcopy(outcomes[0])
    for outcome in outcomes[1:]:
        total.merge(outcome)
    return total


def _score(part: tuple[str, Dataset, dict]) -> Comparison:
    torch.set_num_threads(1)
    weights, dataset, settings = part
    return compare(PanopticTracker.load(weights, **settings), dataset)


def numbers(comparison: Comparison) -> dict:
    """The scores of every variant, the propagation's, and the differences that the table shows."""
    scores = {name: evaluator.scores() for name, evaluator in comparison.evaluators.items()}
    combined, motion, appearance = (scores[name] for name in ("combined", "motion", "appearance"))
    per_class = comparison.evaluators["combined"].result()["per_class"]
    return {
        "variants": scores,
        "propagation_beyond_8px": comparison.propagation.summary(8.0),
        "propagation_all": comparison.propagation.summary(-1.0),
        "combined_over_best_single_head": _difference(combined["PAT"], motion["PAT"], appearance["PAT"]),
        "tq_lost_by_shuffling": _difference(motion["TQ"], scores["motion, shuffled offsets"]["TQ"]),
        "tq_over_iou_tracker": _difference(combined["TQ"], scores["plain IoU tracker"]["TQ"]),
        "per_class": {name: {key: row[key] for key in ("PQ", "IoU", "TQ")} for name, row in per_class.items()},
    }


def _difference(value: float | None, *others: float | None) -> float | None:
    """To the best of the others; None where the drives have nothing to measure."""
    return None if value is None or None in others else value - max(others)


def table(results: dict) -> str:
    """One row a scenario, in percent."""
    columns = ["PAT", "PQ", "TQ", "STQ", "PAT motion", "PAT appearance", "combined − best single"]
    columns += ["propagated − copied IoU (> 8 px)", "TQ − shuffled", "TQ − IoU tracker"]
    lines = [f"| scenario | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns)]
    for scenario, result in results.items():
        variants = result["variants"]
        values = [variants["combined"][name] for name in ("PAT", "PQ", "TQ", "STQ")]
        values += [variants["motion"]["PAT"], variants["appearance"]["PAT"], result["combined_over_best_single_head"]]
        values += [result["propagation_beyond_8px"]["gain"], result["tq_lost_by_shuffling"]]
        values += [result["tq_over_iou_tracker"]]
        cells = ["-" if value is None else f"{100 * value:.1f}" for value in values]
        lines.append(f"| {scenario} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(groups: dict) -> str:
    """Mean, least and greatest of the groups' PAT and STQ, in percent."""
    lines = []
    for name in ("PAT", "STQ"):
        values = [group["variants"]["combined"][name] for group in groups.values()]
        values = [100 * value for value in values if value is not None]
        if not values:
            continue
        mean = sum(values) / len(values)
        lines.append(
            f"{name} of the {len(values)} groups: {mean:.1f} on average, {min(values):.1f} to {max(values):.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    start(main)
