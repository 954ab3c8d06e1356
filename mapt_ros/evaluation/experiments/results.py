"""A study's folder: what its contents were made from, and the results, tables and plot that it is left with."""

import json
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mapt_ros
from mapt_ros.errors import InputError
from mapt_ros.evaluation.experiments.study import Row, Table, TrackingStudy
from mapt_ros.model.checkpoint import flatten
from mapt_ros.replay.files import write_beside, writing
from mapt_ros.viz.chart import Chart, draw

RESULTS, TABLE, PLOT = "results.json", "table.md", "plot.png"
_MADE_FROM = "made_from.json"
_CONVENTIONS = {
    "IDS / 100, fragmentations / 100": "for every 100 true things, counted frame by frame",
    "found": "a predicted thing of the same class has IoU > 0.5 with the true one",
    "correct": "of the true things found in two frames in a row that the tracker saw: share with the same id in both",
    "displacement": "median of the pixels that the centroids of true things move between such frames",
    "hidden": "true things with fewer visible pixels than half of what they have both before and after, found again later",
    "kept": "share of the hidden that had the id from before when they were found again",
    "carried IoU, copied IoU": "of true masks that moved by more than 8 pixels with those a frame later: propagated by"
    " the motion head, left in place",
}


@dataclass(frozen=True)
class Outcome:
    """What came of a study: rows as JSON values, the rest as it is shown."""

    rows: list[dict[str, Any]]
    tables: tuple[Table, ...]
    charts: list[Chart]
    statements: tuple[str, ...] = ()
    findings: dict[str, Any] = field(default_factory=dict)
    conventions: dict[str, Any] = field(default_factory=dict)


def tracking_outcome(study: TrackingStudy, rows: list[Row]) -> Outcome:
    """The outcome of a study that tracks."""
    findings = study.findings(rows)
    reasons: dict[str, set[str]] = {}  # why -> which of the table's scores cannot be told
    for row in rows:
        for name, reason in row.measured.evaluator.reasons().items():
            reasons.setdefault(reason, set()).update({name} & set(study.columns))
    cannot = (f"`-` in {', '.join(sorted(names))}: {reason}." for reason, names in reasons.items() if names)
    return Outcome(
        [_row(study, row) for row in rows],
        (study.table(rows), *findings.tables),
        study.charts(rows),
        (*findings.statements, *cannot),
        findings.values,
        rows[0].measured.evaluator.result()["conventions"] | _CONVENTIONS,
    )


def claim(out: Path, made_from: dict[str, Any]) -> None:
    """Makes the folder a study's; one that is that already, made from the same, is gone on with.

    Raises:
        InputError: it holds something else, or cannot be written.
    """
    made_from = json.loads(json.dumps(made_from | {"version": mapt_ros.__version__}))
    note = out / _MADE_FROM
    if note.is_file():
        try:
            found = json.loads(note.read_text())
            old, new = flatten(found), flatten(made_from)
        except (OSError, ValueError, AttributeError):
            raise InputError(f"{note}: cannot be read; choose another --out, or remove that folder") from None
        changed = [key for key in {**new, **old} if old.get(key) != new.get(key)]
        if changed:
            key = changed[0]
            was, is_ = ("unset" if values.get(key) is None else str(values[key])[:60] for values in (old, new))
            raise InputError(f"{out}: was begun with {key} {was}, not {is_}; choose another --out, or remove it")
        return
    if any((out / name).exists() for name in (RESULTS, TABLE, PLOT, "maps", "training")):
        raise InputError(f"{out}: holds results that are no study's; choose another --out")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    write_beside(note, (json.dumps(made_from, indent=1) + "\n").encode())


def publish(out: Path, facts: dict[str, Any], question: str, outcome: Outcome) -> dict[str, Any]:
    """Writes the three files; what ``results.json`` holds."""
    results = {
        **facts,
        "question": question,
        "versions": {
            "mapt_ros": mapt_ros.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "conventions": outcome.conventions,
        "rows": outcome.rows,
        "findings": outcome.findings,
    }
    text = "\n\n".join(
        [
            f"# {facts['study']}",
            question,
            *(table.markdown() for table in outcome.tables),
            *outcome.statements,
            _made_with(results),
        ]
    )
    write_beside(out / RESULTS, (json.dumps(results, indent=1) + "\n").encode())
    write_beside(out / TABLE, (text + "\n").encode())
    write_beside(out / PLOT, draw(outcome.charts))
    return results


def _row(study: TrackingStudy, row: Row) -> dict[str, Any]:
    evaluator = row.measured.evaluator
    shared = [name for name in study.columns if name in evaluator.scores()]
    return {
        **{title: label(row) for title, label in study.labels.items()},
        "scores": row.scores,
        "per_sequence": {
            sequence: {name: value for name, value in evaluator.scores(sequence).items() if name in shared}
            for sequence in evaluator.stq.sequences
        },
    }


def _made_with(results: dict[str, Any]) -> str:
    data = [
        f"{name}: {len(facts['sequences'])} sequences, {sum(facts['sequences'].values())} frames"
        for name, facts in results["data"].items()
    ]
    weights = results.get("checkpoints") or {results["weights"]["name"]: results["weights"]["hash"]}
    made_with = ", ".join(f"{name} ({hash_})" for name, hash_ in weights.items())
    beginning = "Weights"
    if "training" in results:
        steps = next(iter(results["training"]["recipes"].values()))["stages"][0]["steps"]
        beginning = f"Trained for {steps} steps each from"
    return f"{beginning} {made_with}; {'; '.join(data)}."
