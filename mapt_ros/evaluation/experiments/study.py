"""What a study is: what it asks, what it varies, what its table shows; and one line of such a table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from mapt_ros.evaluation.experiments.measures import Measured, shown
from mapt_ros.evaluation.variants import Variant
from mapt_ros.viz.chart import Chart, Series


@dataclass(frozen=True)
class Row:
    """One line of a table: which weights on which data with which variant, and what came of it."""

    weights: str
    data: str
    variant: Variant
    measured: Measured
    scores: dict[str, float | int | None]


@dataclass(frozen=True)
class Table:
    """A table as it is shown: titles of its columns, rows of finished cells; ``labels`` columns come first."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int = 1

    def markdown(self) -> str:
        lines = [f"**{self.title}**\n"] if self.title else []
        lines.append(f"| {' | '.join(self.columns)} |")
        lines.append("| --- " * self.labels + "| ---: " * (len(self.columns) - self.labels) + "|")
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in self.rows)])


@dataclass(frozen=True)
class Findings:
    """What a study reads off its rows beyond their scores: values for the results, tables, one-line statements."""

    values: dict[str, Any] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    statements: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrackingStudy:
    """A study that tracks and scores; all of it is settings.

    Attributes:
        question: what it asks, in one line.
        labels: titles of the first columns, and what of a row stands there.
        variants: of the tracker.
        columns: measures by name (``Measured.scores``).
        charts: of its rows.
        data: how ``--data`` is read: one dataset; its most occluded sequences; a folder of scenarios; several datasets.
        weights: one checkpoint, or one for each training interval.
        findings: what more its rows say.
    """

    question: str
    labels: dict[str, Callable[[Row], str]]
    variants: tuple[Variant, ...]
    columns: tuple[str, ...]
    charts: Callable[[list[Row]], list[Chart]]
    data: Literal["one", "most occluded", "scenarios", "several"] = "one"
    weights: Literal["one", "intervals"] = "one"
    findings: Callable[[list[Row]], Findings] = lambda rows: Findings()

    def table(self, rows: list[Row]) -> Table:
        cells = tuple(
            (*(label(row) for label in self.labels.values()), *(shown(name, row.scores[name]) for name in self.columns))
            for row in rows
        )
        return Table("", (*self.labels, *self.columns), cells, len(self.labels))


@dataclass(frozen=True)
class CostStudy:
    """A study of costs: the motion head beside optical flow (``compare_flow``).

    Attributes:
        columns: title -> key of what ``compare_flow`` tells of a method.
        repeats: timed runs of each method.
    """

    question: str
    columns: dict[str, str]
    repeats: int


def bars(label: Callable[[Row], str], *panels: tuple[str, ...]) -> Callable[[list[Row]], list[Chart]]:
    """Charts with a group of bars a row and a panel for each group of measures."""

    def charts(rows: list[Row]) -> list[Chart]:
        ticks = tuple(label(row) for row in rows)
        return [
            Chart("", "", _unit(names[0]), tuple(_bar_series(name, rows) for name in names), ticks) for names in panels
        ]

    return charts


def grouped_bars(
    group: Callable[[Row], str], series: Callable[[Row], str], *measures: str
) -> Callable[[list[Row]], list[Chart]]:
    """A chart a measure, with a group of bars for each value of ``group`` and a bar for each value of ``series``."""

    def charts(rows: list[Row]) -> list[Chart]:
        ticks = tuple(dict.fromkeys(group(row) for row in rows))
        names = tuple(dict.fromkeys(series(row) for row in rows))
        return [
            Chart(
                measure,
                "",
                _unit(measure),
                tuple(
                    Series(
                        name,
                        tuple(
                            (ticks.index(group(row)), drawn(measure, row.scores[measure]))
                            for row in rows
                            if series(row) == name
                        ),
                        "bars",
                    )
                    for name in names
                ),
                ticks,
            )
            for measure in measures
        ]

    return charts


def drawn(name: str, value: float | None) -> float | None:
    """A measure as charts show it, in the tables' unit."""
    return None if value is None else float(shown(name, value))


def _bar_series(name: str, rows: list[Row]) -> Series:
    return Series(name, tuple((x, drawn(name, row.scores[name])) for x, row in enumerate(rows)), "bars")


def _unit(name: str) -> str:
    return "" if name in ("IDS", "IDS / 100", "fragmentations / 100", "displacement") else "%"
