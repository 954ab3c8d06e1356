"""What studies read off their rows beyond scores: where association breaks, and the front of what settings can reach."""

from mapt_ros.evaluation.experiments.measures import Measured, shown
from mapt_ros.evaluation.experiments.study import Findings, Row, Table, drawn
from mapt_ros.viz.chart import Chart, Series

# Pixels between two frames; a bin reaches from one number up to the next, the last one has no end.
DISPLACEMENTS = (0, 2, 4, 8, 16, 32, 64, 128)
_LEAST_PAIRS = 20  # a bin with fewer says nothing
_BROKEN = 0.5


def correct_by_displacement(rows: list[Measured]) -> list[tuple[float | None, int]]:
    """For each bin of ``DISPLACEMENTS``: the share of correct associations of all rows together, and how many there are."""
    shares = []
    for least, below in zip(DISPLACEMENTS, (*DISPLACEMENTS[1:], float("inf"))):
        parts = [row.associations.correct_share(least, below) for row in rows]
        count = sum(number for _, number in parts)
        correct = sum(share * number for share, number in parts if share is not None)
        shares.append((correct / count if count else None, count))
    return shares


def break_point(shares: list[tuple[float | None, int]]) -> int | None:
    """Where association breaks: the lower end, in pixels, of the first bin in which fewer than half are correct.

    Bins of fewer than 20 associations are passed over; None if no other one breaks.
    """
    for least, (share, count) in zip(DISPLACEMENTS, shares, strict=True):
        if share is not None and count >= _LEAST_PAIRS and share < _BROKEN:
            return least
    return None


def motion_findings(rows: list[Row]) -> Findings:
    """Share of correct associations against displacement, all n together, and the break point of each association."""
    shares = {name: correct_by_displacement([row.measured for row in of]) for name, of in _by_association(rows).items()}
    points = {name: break_point(values) for name, values in shares.items()}
    ends = (*(str(end) for end in DISPLACEMENTS[1:]), "")
    cells = tuple(
        (
            name,
            *(f"{shown('correct', share)} ({count})" for share, count in values),
            "-" if points[name] is None else str(points[name]),
        )
        for name, values in shares.items()
    )
    titles = (f"{least} to {end}" if end else f"from {least}" for least, end in zip(DISPLACEMENTS, ends))
    table = Table(
        "Correct associations in percent (of how many) by displacement in pixels, all n together",
        ("association", *titles, "breaks at"),
        cells,
    )
    values = {
        "displacement_bins": list(DISPLACEMENTS),
        "correct_by_displacement": {
            name: [{"correct": share, "associations": count} for share, count in of] for name, of in shares.items()
        },
        "break_point": points,
    }
    return Findings(values, (table,))


def motion_charts(rows: list[Row]) -> list[Chart]:
    """PAT against the displacement that each n brings, and the share of correct associations, with the break points."""
    groups = _by_association(rows)
    pats = tuple(
        Series(
            name,
            tuple(
                (row.scores["displacement"], drawn("PAT", row.scores["PAT"]))
                for row in group
                if row.scores["displacement"] is not None
            ),
            "line",
        )
        for name, group in groups.items()
    )
    shares = {name: correct_by_displacement([row.measured for row in group]) for name, group in groups.items()}
    ticks = tuple(f"{least}+" for least in DISPLACEMENTS)
    curves = tuple(
        Series(
            name,
            tuple(
                (x, None if count < _LEAST_PAIRS else drawn("correct", share))
                for x, (share, count) in enumerate(values)
            ),
            "line",
        )
        for name, values in shares.items()
    )
    broken: dict[int, list[str]] = {}
    for name, values in shares.items():
        if (point := break_point(values)) is not None:
            broken.setdefault(DISPLACEMENTS.index(point), []).append(name)
    marks = tuple((float(x), f"{', '.join(names)} < 50 %") for x, names in broken.items())
    return [
        Chart("PAT over every n-th frame, n = 1 to 8", "median displacement, pixels", "%", pats),
        Chart("Correct associations", "displacement, pixels", "%", curves, ticks, marks, zero=True),
    ]


def pat_stq_front(rows: list[Row]) -> Findings:
    """The settings that no other one beats in PAT and STQ both, the chosen one, and what it lacks to the best."""
    front, chosen = _front(rows), rows[0]
    known = [row for row in rows if row.scores["PAT"] is not None and row.scores["STQ"] is not None]
    best = {name: max(known, key=lambda row: row.scores[name]) for name in ("PAT", "STQ") if known}
    cells = tuple((row.variant.name, *(shown(name, row.scores[name]) for name in ("PAT", "STQ"))) for row in front)
    statements = tuple(
        f"Best {name}: {shown(name, row.scores[name])} with {row.variant.name}; chosen:"
        f" {shown(name, chosen.scores[name])}."
        for name, row in best.items()
    )
    values = {
        "front": [row.variant.name for row in front],
        "chosen_on_front": chosen in front,
        "best": {name: row.variant.name for name, row in best.items()},
    }
    return Findings(
        values, (Table("The front, from best PAT to best STQ", ("fusion", "PAT", "STQ"), cells),), statements
    )


def front_chart(rows: list[Row]) -> list[Chart]:
    """PAT against STQ of all settings, the front joined, the chosen one on top."""

    def points(of: list[Row]) -> tuple[tuple[float, float | None], ...]:
        return tuple((drawn("STQ", row.scores["STQ"]) or 0.0, drawn("PAT", row.scores["PAT"])) for row in of)

    series = (
        Series("settings", points(rows), "points"),
        Series("front", points(_front(rows)), "line"),
        Series("chosen", points(rows[:1]), "points"),
    )
    return [Chart("The fusion's thresholds", "STQ, %", "PAT, %", series)]


def _front(rows: list[Row]) -> list[Row]:
    """Rows that no other one beats in both, or equals in one and beats in the other; of equal ones the first."""
    front: list[Row] = []
    known = [row for row in rows if row.scores["PAT"] is not None and row.scores["STQ"] is not None]
    for row in sorted(known, key=lambda row: (-row.scores["PAT"], -row.scores["STQ"])):
        if not front or row.scores["STQ"] > front[-1].scores["STQ"]:
            front.append(row)
    return front


def _by_association(rows: list[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.variant.name.split(",")[0], []).append(row)
    return groups
