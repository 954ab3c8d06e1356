"""The learning curves of a run: a CSV file with a row a step, and a plot of it."""

import csv
from pathlib import Path

import cv2
import numpy as np

from mapt_ros.errors import InputError

COLUMNS = ("step", "stage", "learning_rate", "total", "instance", "semantic", "motion", "appearance", "gradient_norm")
_DRAWN = ("total", "instance", "semantic", "motion", "appearance", "gradient_norm", "learning_rate")
_PANEL = (200, 480)  # height and width of one curve's panel in pixels
_INK, _FAINT, _GRID = (30, 30, 30), (190, 190, 190), (230, 230, 230)
_CURVE = (30, 90, 200)  # RGB


class CurveFile:
    """Appends rows to the CSV file; a resumed run first cuts what was written after its checkpoint.

    Args:
        path: of the file.
        step: rows of this step and later are cut; 0 starts anew.
    """

    def __init__(self, path: Path, step: int):
        kept = [row for row in read_curves(path) if int(row["step"]) < step] if step and path.is_file() else []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", newline="")
        self._writer = csv.DictWriter(self._file, COLUMNS, restval="")
        self._writer.writeheader()
        self._writer.writerows(kept)
        self._file.flush()

    def add(self, row: dict[str, float | int | str]) -> None:
        """One step; floats are written so that they read back bit by bit."""
        self._writer.writerow({key: repr(v) if isinstance(v, float) else v for key, v in row.items()})
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_curves(path: Path) -> list[dict[str, str]]:
    """The whole rows of a CSV file; one cut short by a kill is left out.

    Raises:
        InputError: it has other columns.
    """
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or COLUMNS) != COLUMNS:
            raise InputError(f"{path}: has columns {reader.fieldnames}, expected {list(COLUMNS)}")
        return [row for row in reader if None not in row.values() and row["gradient_norm"]]


def plot_curves(rows: list[dict[str, str]]) -> bytes:
    """A PNG with a panel for each curve that has values, smoothed over a fiftieth of the run."""
    panels = []
    for name in _DRAWN:
        points = np.array([(float(r["step"]), float(r[name])) for r in rows if r[name] != ""]).reshape(-1, 2)
        points = points[np.isfinite(points[:, 1])]
        if len(points):
            panels.append(_panel(name, points, last_step=max(1.0, float(rows[-1]["step"]))))
    blank = np.full((*_PANEL, 3), 255, np.uint8)
    panels += [blank] * (len(panels) % 2 if panels else 2)
    sheet = np.vstack([np.hstack(panels[i : i + 2]) for i in range(0, len(panels), 2)])
    return cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))[1].tobytes()


def _panel(name: str, points: np.ndarray, last_step: float) -> np.ndarray:
    height, width = _PANEL
    left, right, top, bottom = 76, 12, 26, 22
    canvas = np.full((height, width, 3), 255, np.uint8)
    steps, values = points.T
    window = max(1, len(values) // 50)
    smooth = np.convolve(values, np.ones(window) / window, mode="valid")
    low, high = np.quantile(values, (0.005, 0.98)) if len(values) > 50 else (values.min(), values.max())
    low, high = min(low, smooth.min()), max(high, low + 1e-9)

    def place(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        columns = left + x / last_step * (width - left - right)
        rows = top + (1 - np.clip((y - low) / (high - low), 0, 1)) * (height - top - bottom)
        return np.rint(np.stack([columns, rows], axis=1)).astype(np.int32)

    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        row = int(place(np.zeros(1), np.array([value]))[0, 1])
        cv2.line(canvas, (left, row), (width - right, row), _GRID, 1)
        _write(canvas, f"{value:.3g}", (4, row + 4))
    cv2.polylines(canvas, [place(steps, values)], False, _FAINT, 1, cv2.LINE_AA)
    cv2.polylines(canvas, [place(steps[window - 1 :], smooth)], False, _CURVE, 2, cv2.LINE_AA)
    _write(canvas, f"{name}   {smooth[-1]:.4g}", (left, 16))
    _write(canvas, "0", (left, height - 6))
    _write(canvas, f"{last_step:.0f} steps", (width - right - 80, height - 6))
    return canvas


def _write(canvas: np.ndarray, text: str, place: tuple[int, int]) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)
