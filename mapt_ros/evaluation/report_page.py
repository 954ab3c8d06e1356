"""The parts of a report's page: scores, tables per sequence and class, the confusion matrix, what the terms mean."""

from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np

from mapt_ros.data.labels import ClassSet
from mapt_ros.evaluation.evaluate import SCORES
from mapt_ros.evaluation.report_style import CSS, SCRIPT

GENERATOR = "mapt evaluate --report"
_COUNTS = ("IDS", "fragmentations", "TP", "FP", "FN")
_PER_CLASS = ("PQ", "PQ_SQ", "PQ_RQ", "TP", "FP", "FN", "IoU", "VPQ", "TQ", "AQ", "IDS", "sMOTSA", "IDF1", "HOTA")
_NAMES = {"PQ_SQ": "PQ's SQ", "PQ_RQ": "PQ's RQ", "fragmentations": "fragm."}
_LISTED = 12  # missing or extra frames that are named

# As docs/metrics.md defines them, a line each.
TERMS = {
    "PAT": "harmonic mean of PQ and TQ",
    "PQ": "Σ IoU / (TP + ½ FP + ½ FN); a segment matches if its class is the same and IoU > 0.5; stuff is one segment a"
    " class. Its two factors: SQ, the mean IoU of the matched, and RQ, their share. Mean of the classes with a segment",
    "TQ": "√(AQ · IS) of each true thing: how much of it predicted tracks cover, and how rarely they change. Mean of the"
    " true things",
    "PTQ": "PQ that loses 1 for every switch between two frames in a row",
    "sPTQ": "PQ that loses the IoU at every such switch",
    "STQ": "√(SQ · AQ)",
    "SQ": "mean class IoU; void of the ground truth does not count",
    "AQ": "association of tubes over a sequence, mean of the true things; predictions on void count against it",
    "VPQ": "PQ of tubes, all of a label's pixels in k frames in a row; mean of k = 1, 2, 3, 4",
    "IDS": "identity switches, to another track than the thing's last, however long ago; a match has IoU ≥ 0.5 and the"
    " same class",
    "fragmentations": "how often a thing is matched again after it was not",
    "sMOTSA": "(Σ IoU − FP − IDS) / true things",
    "MOTSA": "(TP − FP − IDS) / true things",
    "IDF1": "F1 of the best one-to-one choice of tracks over a sequence",
    "HOTA": "√(DetA · AssA), mean of the IoU thresholds 0.05, 0.10 … 0.95",
    "IoU": "pixels in common / pixels of either, of a class over all frames",
    "TP": "segments matched, FP predicted ones left over, FN true ones left over",
    "void": "pixels without a class in the ground truth; PQ, TQ and SQ leave them out",
}


def page(title: str, parts: Iterable[str]) -> str:
    """A whole HTML document that needs no other file."""
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<meta name=generator content='{GENERATOR}'><title>{escape(title)}</title><style>{CSS}</style></head>\n"
        f"<body><main>{''.join(parts)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def heading(result: dict[str, Any], truth: str, predicted: str) -> str:
    """What was scored, and where on the page to find what."""
    conventions = result["conventions"]
    exact = ", PAT as the nuScenes devkit computes it" if conventions["devkit_exact"] else ""
    contents = (
        ("sequences", "Sequences"),
        ("classes", "Classes"),
        ("timelines", "Timelines"),
        ("confusion", "Confusion"),
        ("worst", "Worst frames"),
        ("terms", "Terms"),
    )
    return (
        f"<header><h1>Panoptic tracking: {result['frames']} frames, {result['sequences']}"
        f" sequence{'s' * (result['sequences'] != 1)}</h1>"
        f"<p class='soft path'>Predictions in {escape(predicted)}<br>Ground truth in {escape(truth)}<br>"
        f"Classes of {escape(conventions['classes'])}; things are {escape(', '.join(conventions['things']) or 'none')};"
        f" minimum area {conventions['min_area']} pixels{exact}</p>"
        f"<nav>{''.join(f'<a href=#{anchor}>{name}</a>' for anchor, name in contents)}</nav></header>"
    )


def headline(result: dict[str, Any]) -> str:
    """The overall scores, why some cannot be told, and which frames were odd."""
    cards = "".join(
        f"<div{' class=main' if name == 'PAT' else ''}><dt><a href='#{name}'>{name}</a></dt>"
        f"<dd>{_figure(name, result[name])}</dd></div>"
        for name in (*SCORES, "fragmentations")
    )
    reasons = result["reasons"]
    notes = [
        f"{', '.join(name for name in reasons if reasons[name] == reason)}: {reason}"
        for reason in dict.fromkeys(reasons.values())
    ]
    for kind, meaning in (("missing", "counted as all void"), ("extra", "ignored")):
        if names := result[kind]:
            dots = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            notes.append(
                f"{len(names)} predicted frame{'s' * (len(names) != 1)} {kind} ({meaning}):"
                f" {', '.join(names[:_LISTED])}{dots}"
            )
    return f"<dl class=scores>{cards}</dl>" + "".join(f"<p class=note>{escape(note)}</p>" for note in notes)


def sequences(result: dict[str, Any], anchors: dict[str, str]) -> str:
    """A row a sequence; its name leads to its timeline."""
    columns = (*SCORES, "fragmentations")
    rows = [_row("all", result, columns, "all")]
    for name, scores in result["per_sequence"].items():
        rows.append(_row(f"<a href='#{anchors[name]}'>{escape(name)}</a>", scores, columns))
    return f"<h2 id=sequences>Sequences</h2>{_table('sequence', columns, rows)}"


def classes(result: dict[str, Any], colors: ClassSet) -> str:
    """A row a class that occurs on either side."""
    chips = {info.name: _chip(info.color) for info in colors.classes}
    present, absent = [], []
    for name, scores in result["per_class"].items():
        seen = scores["PQ"] is not None or scores["IoU"] is not None
        (present if seen else absent).append(name)
    rows = [
        _row(chips[name] + escape(name), result["per_class"][name], _PER_CLASS, missing=_not_a_thing(result, name))
        for name in present
    ]
    note = f"<p class=soft>On neither side: {escape(', '.join(absent))}.</p>" if absent else ""
    return f"<h2 id=classes>Classes</h2>{_table('class', _PER_CLASS, rows)}{note}"


def confusion(matrix: np.ndarray, colors: ClassSet) -> str:
    """The (C + 1)x(C + 1) pixel counts, true class by predicted class, void last, as percentages of each row."""
    names = [info.name for info in colors.classes] + ["void"]
    chips = [_chip(info.color) for info in colors.classes] + [_chip((0, 0, 0))]
    shown = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    total = max(1, int(matrix.sum()))
    head = "".join(f"<th scope=col><span>{escape(names[j])}</span></th>" for j in shown)
    rows = []
    for i in shown:
        pixels = int(matrix[i].sum())
        cells = "".join(_share(int(matrix[i, j]), pixels, i == j, f"{names[i]} as {names[j]}") for j in shown)
        rows.append(
            f"<tr><th scope=row>{chips[i]}{escape(names[i])}</th>{cells}"
            f"<td title='{pixels:,} pixels'>{100 * pixels / total:.1f}</td></tr>"
        )
    return (
        "<h2 id=confusion>Confusion</h2><p>Of the pixels of each true class (row), how many percent were predicted as"
        " which class (column); the last column is the class's share of all pixels. Blank: none; ·: under half a percent."
        " <a href=#void>Void</a> of the ground truth is shown, though most metrics leave it out.</p>"
        f"<div class='scroll confusion'><table><thead><tr><th scope=col>true class</th>{head}"
        f"<th scope=col><span>share of all</span></th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def terms() -> str:
    """What the figures are; the tables' headings lead here."""
    entries = "".join(f"<dt id='{name}'>{name}</dt><dd>{escape(meaning)}.</dd>" for name, meaning in TERMS.items())
    return (
        "<h2 id=terms>Terms</h2><p>Scores are percent, IDS, fragmentations and TP, FP, FN are numbers, – is what cannot be"
        " told. <span class=soft>docs/metrics.md of mapt_ros has the conventions in full: what void and crowd do, and what"
        f" each score is averaged over.</span></p><dl class=terms>{entries}</dl>"
    )


def percent(score: float | None) -> str:
    """A score as it is shown everywhere on the page."""
    return "–" if score is None else f"{100 * score:.1f}"


def _figure(name: str, score: float | None) -> str:
    if score is None:
        return "–"
    return str(score) if name in _COUNTS else percent(score)


def _table(first: str, columns: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th scope=col><a href='#{_term(name)}'>{_NAMES.get(name, name)}</a></th>" for name in columns)
    return (
        f"<div class=scroll><table class=sortable><thead><tr><th scope=col>{first}</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _term(column: str) -> str:
    return {"PQ_SQ": "PQ", "PQ_RQ": "PQ", "FP": "TP", "FN": "TP"}.get(column, column)


def _row(name: str, scores: dict[str, Any], columns: Iterable[str], kind: str = "", missing: Iterable[str] = ()) -> str:
    """``name`` is HTML already; ``missing`` are columns left blank because the row can have no such score."""
    cells = []
    for column in columns:
        score = scores[column]
        if column in missing:
            cells.append("<td></td>")
        elif score is None or column in _COUNTS:
            cells.append(f"<td data-v='{'' if score is None else score}'>{_figure(column, score)}</td>")
        else:
            share = min(100, max(0, 100 * score))
            cells.append(f"<td class=s data-v='{score:.6g}' style='--v:{share:.3g}'>{percent(score)}</td>")
    return f"<tr{f' class={kind}' if kind else ''}><th scope=row>{name}</th>{''.join(cells)}</tr>\n"


def _not_a_thing(result: dict[str, Any], name: str) -> tuple[str, ...]:
    return () if result["per_class"][name]["isthing"] else ("TQ", "AQ", "IDS", "sMOTSA", "IDF1", "HOTA")


def _share(pixels: int, of: int, right: bool, what: str) -> str:
    """A cell of the confusion matrix: blue where prediction and truth agree, red where not."""
    if pixels == 0:
        return "<td></td>"
    share = pixels / of
    text = f"{100 * share:.0f}" if share >= 0.005 else "·"
    # The root keeps small confusions visible.
    strength = 0.6 * (share if right else share**0.5)
    title = escape(f"{what}: {100 * share:.2f} % ({pixels:,} pixels)")
    color = "good" if right else "bad"
    return f"<td style='background:rgba(var(--{color}),{strength:.2f})' title='{title}'>{text}</td>"


def _chip(color: tuple[int, int, int]) -> str:
    return "<span class=chip style='background:#{:02x}{:02x}{:02x}'></span>".format(*color)
