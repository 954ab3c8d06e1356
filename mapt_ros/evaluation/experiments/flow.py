"""The study of costs: what ``compare_flow`` measures, as a table and a plot."""

from itertools import pairwise
from typing import Any

from mapt_ros.data.pairs import FramePair
from mapt_ros.evaluation.experiments.inputs import Source
from mapt_ros.evaluation.experiments.results import Outcome
from mapt_ros.evaluation.experiments.study import CostStudy, Table
from mapt_ros.evaluation.flow_costs import compare_flow
from mapt_ros.tracking.tracker import PanopticTracker
from mapt_ros.viz.chart import Chart, Series


def cost_outcome(study: CostStudy, tracker: PanopticTracker, source: Source) -> Outcome:
    """Measures all methods in one run, true masks propagated over every two frames in a row.

    Raises:
        InputError: a file cannot be read, or the images are too small for RAFT.
    """
    sequences = source.dataset.sequences
    size = sequences[0].labels(0).shape
    pairs = [(sequence, before, now) for sequence in sequences for before, now in pairwise(range(len(sequence)))]
    read = (FramePair(s.frame(before), s.frame(now), s.name, before, now) for s, before, now in pairs)
    result = compare_flow(tracker.model, size, tracker.device, study.repeats, read)
    methods = result.pop("methods")
    cells = tuple(
        (name, *(_shown(key, method.get(key)) for key in study.columns.values())) for name, method in methods.items()
    )
    statements = [f"{result['included']}."]
    statements += [f"{name}: {method['reason']}." for name, method in methods.items() if method.get("reason")]
    return Outcome(
        [{"method": name, "scores": method} for name, method in methods.items()],
        (Table("", ("method", *study.columns), cells),),
        [
            _chart(title, key, methods)
            for title, key in study.columns.items()
            if key in ("gmacs_paper_size", "ms", "iou_moved")
        ],
        tuple(statements),
        result,
    )


def _shown(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if key.startswith("iou"):
        return f"{100 * value:.1f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _chart(title: str, key: str, methods: dict[str, dict]) -> Chart:
    scale = 100 if key.startswith("iou") else 1
    values = ((x, method.get(key)) for x, method in enumerate(methods.values()))
    points = tuple((x, None if value is None else scale * value) for x, value in values)
    return Chart(title, "", "%" if scale == 100 else "", (Series(title, points, "bars"),), tuple(methods))
