"""Small charts as PNG: bars, lines and clouds of points, several panels beside each other."""

from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np

Color = tuple[int, int, int]

_PANEL = (420, 640)  # height and width in pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 16, 58, 64
_INK, _GRID, _PAPER = (40, 40, 40), (226, 226, 226), (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX  # ASCII only
_SIZE = 0.42
# Okabe and Ito's colours, which colour-blind readers can tell apart.
PALETTE: tuple[Color, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (213, 94, 0),
    (204, 121, 167),
    (86, 180, 233),
    (120, 120, 120),
    (0, 0, 0),
)


@dataclass(frozen=True)
class Series:
    """Values of one colour.

    Attributes:
        name: in the legend.
        points: (x, y) in order; y None leaves a gap.
        kind: how they are drawn.
    """

    name: str
    points: tuple[tuple[float, float | None], ...]
    kind: Literal["bars", "line", "points"]


@dataclass(frozen=True)
class Chart:
    """One panel.

    Attributes:
        title, x_label, y_label: ASCII.
        series: from back to front, a colour each.
        ticks: names of x = 0, 1, 2, ...; without, the x axis is numbered.
        marks: vertical lines, (x, text).
        zero: whether the y axis begins at 0, as bars always do.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    ticks: tuple[str, ...] = ()
    marks: tuple[tuple[float, str], ...] = field(default=())
    zero: bool = False


def draw(charts: list[Chart]) -> bytes:
    """The charts beside each other as a PNG; one without any value is an empty frame."""
    sheet = np.hstack([_panel(chart) for chart in charts])
    return cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))[1].tobytes()


class _Axes:
    """Places values in a panel; the y axis ends at round numbers."""

    def __init__(self, chart: Chart) -> None:
        known = [(x, y) for series in chart.series for x, y in series.points if y is not None]
        xs = [x for x, _ in known] + [x for x, _ in chart.marks] or [0.0, 1.0]
        ys = [y for _, y in known] or [0.0, 1.0]
        if chart.zero or any(series.kind == "bars" for series in chart.series):
            ys = [*ys, 0.0]
        self.x = (-0.5, len(chart.ticks) - 0.5) if chart.ticks else _padded(min(xs), max(xs))
        self.y_ticks = round_ticks(min(ys), max(ys))
        self.y = float(self.y_ticks[0]), float(self.y_ticks[-1])

    def column(self, x: float) -> float:
        width = _PANEL[1] - _LEFT - _RIGHT
        return _LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * width

    def row(self, y: float) -> float:
        height = _PANEL[0] - _TOP - _BOTTOM
        return _TOP + (1 - (y - self.y[0]) / (self.y[1] - self.y[0])) * height

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        return round(self.column(x)), round(self.row(y))


def round_ticks(low: float, high: float) -> np.ndarray:
    """Five or so numbers at steps of 1, 2 or 5 times a power of ten that enclose a range."""
    if high - low < 1e-9:
        high = low + max(abs(low), 1.0)
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = np.floor(low / step + 1e-6), np.ceil(high / step - 1e-6)
    return step * np.arange(first, last + 1)


def _panel(chart: Chart) -> np.ndarray:
    height, width = _PANEL
    canvas = np.full((height, width, 3), _PAPER, np.uint8)
    axes = _Axes(chart)
    for y in axes.y_ticks.tolist():
        row = round(axes.row(y))
        cv2.line(canvas, (_LEFT, row), (width - _RIGHT, row), _GRID, 1)
        _write(canvas, f"{y:g}", _LEFT - 6, row + 4, align=1.0)
    _x_axis(canvas, chart, axes)
    bars = [series for series in chart.series if series.kind == "bars"]
    for number, series in enumerate(chart.series):
        color = PALETTE[number % len(PALETTE)]
        if series.kind == "bars":
            _bars(canvas, axes, series, color, bars.index(series), len(bars))
        else:
            _curve(canvas, axes, series, color)
    for number, (x, text) in enumerate(chart.marks):
        column = round(axes.column(x))
        cv2.line(canvas, (column, _TOP), (column, height - _BOTTOM), _INK, 1, cv2.LINE_AA)
        right = column < width / 2
        _write(
            canvas, text, column + (4 if right else -4), height - _BOTTOM - 8 - 14 * number, align=0.0 if right else 1.0
        )
    _write(canvas, chart.title, _LEFT, 18, scale=0.5)
    _write(canvas, chart.y_label, 6, _TOP - 8)
    _legend(canvas, chart)
    return canvas


def _x_axis(canvas: np.ndarray, chart: Chart, axes: _Axes) -> None:
    height, width = _PANEL
    ground = height - _BOTTOM
    cv2.line(canvas, (_LEFT, ground), (width - _RIGHT, ground), _INK, 1)
    if chart.ticks:
        room = axes.column(1) - axes.column(0)
        crowded = any(_width(name, _SIZE) > 0.9 * room for name in chart.ticks)
        for x, name in enumerate(chart.ticks):
            lower = 14 * (x % 2) if crowded else 0
            _write(canvas, name, round(axes.column(x)), ground + 16 + lower, align=0.5)
    else:
        low, high = axes.x
        for x in (tick for tick in round_ticks(low, high).tolist() if low <= tick <= high):
            _write(canvas, f"{x:g}", round(axes.column(x)), ground + 16, align=0.5)
    _write(canvas, chart.x_label, (_LEFT + width - _RIGHT) // 2, height - 10, align=0.5)


def _bars(canvas: np.ndarray, axes: _Axes, series: Series, color: Color, place: int, of: int) -> None:
    """One series' bars, each with its value on top where that fits."""
    share = 0.8 / of
    for x, y in series.points:
        if y is not None:
            left = x - 0.4 + place * share
            (x0, top), (x1, ground) = axes.pixel(left, y), axes.pixel(left + 0.92 * share, 0)
            cv2.rectangle(canvas, (x0, top), (x1, ground), color, cv2.FILLED)
            text = f"{y:.3g}" if abs(y) < 1000 else f"{y:.0f}"
            if _width(text, _SIZE) <= x1 - x0:
                _write(canvas, text, (x0 + x1) // 2, min(top, ground) - 4, align=0.5)


def _curve(canvas: np.ndarray, axes: _Axes, series: Series, color: Color) -> None:
    if series.kind == "line":
        for (x0, y0), (x1, y1) in zip(series.points, series.points[1:]):
            if y0 is not None and y1 is not None:
                cv2.line(canvas, axes.pixel(x0, y0), axes.pixel(x1, y1), color, 2, cv2.LINE_AA)
    for x, y in series.points:
        if y is not None:
            cv2.circle(canvas, axes.pixel(x, y), 4, color, cv2.FILLED, cv2.LINE_AA)


def _legend(canvas: np.ndarray, chart: Chart) -> None:
    column = _LEFT + 90
    for number, series in enumerate(chart.series):
        cv2.rectangle(canvas, (column, 33), (column + 10, 43), PALETTE[number % len(PALETTE)], cv2.FILLED)
        _write(canvas, series.name, column + 15, 43)
        column += 30 + _width(series.name, _SIZE)


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


def _write(canvas: np.ndarray, text: str, x: int, y: int, align: float = 0.0, scale: float = _SIZE) -> None:
    left = max(2, min(round(x - align * _width(text, scale)), canvas.shape[1] - _width(text, scale) - 2))
    cv2.putText(canvas, text, (left, y), _FONT, scale, _INK, 1, cv2.LINE_AA)


def _width(text: str, scale: float) -> int:
    return cv2.getTextSize(text, _FONT, scale, 1)[0][0]
