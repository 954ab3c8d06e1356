"""Passenger cars of several body shapes: hatchbacks, saloons, estates, vans, transporters and SUVs."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from mapt_ros.synthetic.car_body import Body, Fitting, Shape
from mapt_ros.synthetic.mesh import Material, Mesh, joined
from mapt_ros.synthetic.solids import both, box, mirrored, raised, surface, tube
from mapt_ros.synthetic.vehicle import (
    BRAKE_LAMP,
    CHROME,
    GLASS,
    LAMP,
    LEFT_INDICATOR,
    RIGHT_INDICATOR,
    TAIL_LAMP,
    TINTED,
    TRIM,
    UNDERSIDE,
    Vehicle,
    Wheel,
    number_plate,
    paint,
    vehicle,
    wheel_mesh,
)

CAR = 13
_BADGE = Material((0.3, 0.3, 0.3), gloss=0.1, seed=41)
_REFLECTOR = Material((0.16, 0.165, 0.17), gloss=0.2, seed=42)  # what is dark within a head lamp
# Rear end, tail, rear window, roof, windscreen, bonnet, nose; varied by `_varied`.
_SHAPES = {
    "hatchback": Shape(
        ((-2.02, 0.48), (-2.0, 0.66), (-1.93, 0.99), (-1.6, 1.38), (-1.0, 1.46), (-0.2, 1.48), (0.4, 1.42), (1.2, 0.97),
         (1.75, 0.83), (1.96, 0.66), (2.02, 0.46)),
        (2, 3), (7, 6), 1.74, 0.93, 0.2, (-1.26, 1.27), 0.31, (-0.85, 0.12),
    ),
    "saloon": Shape(
        ((-2.28, 0.5), (-2.26, 0.66), (-2.19, 0.98), (-1.7, 1.04), (-1.02, 1.36), (-0.45, 1.44), (0.0, 1.44), (0.4, 1.38),
         (1.2, 0.95), (2.0, 0.8), (2.2, 0.66), (2.28, 0.46)),
        (3, 4), (8, 7), 1.78, 0.93, 0.19, (-1.36, 1.38), 0.32, (-0.88, 0.08),
    ),
    "estate": Shape(
        ((-2.32, 0.5), (-2.3, 0.7), (-2.22, 1.0), (-1.96, 1.37), (-1.4, 1.46), (-0.3, 1.48), (0.36, 1.41), (1.18, 0.96),
         (2.0, 0.81), (2.23, 0.66), (2.32, 0.46)),
        (2, 3), (7, 6), 1.78, 0.94, 0.19, (-1.36, 1.37), 0.32, (-1.42, -0.72, 0.12),
    ),
    "van": Shape(
        ((-2.2, 0.5), (-2.18, 0.68), (-2.12, 1.04), (-1.98, 1.55), (-1.5, 1.63), (-0.2, 1.65), (0.6, 1.55), (1.45, 1.03),
         (1.9, 0.88), (2.13, 0.7), (2.2, 0.48)),
        (2, 3), (7, 6), 1.82, 1.0, 0.2, (-1.32, 1.38), 0.32, (-1.3, -0.5, 0.4), 0.22,
    ),
    "transporter": Shape(
        ((-2.43, 0.5), (-2.41, 0.7), (-2.38, 1.12), (-2.28, 1.78), (-2.0, 1.93), (-0.2, 1.97), (1.05, 1.86), (1.8, 1.15),
         (2.2, 0.98), (2.38, 0.75), (2.42, 0.5)),
        (2, 3), (7, 6), 1.9, 1.12, 0.22, (-1.45, 1.5), 0.33, (-1.15, 0.55), 0.13,
    ),
    "suv": Shape(
        ((-2.22, 0.58), (-2.2, 0.8), (-2.14, 1.1), (-1.92, 1.52), (-1.4, 1.64), (-0.2, 1.67), (0.42, 1.6), (1.15, 1.12),
         (1.95, 1.0), (2.17, 0.82), (2.22, 0.58)),
        (2, 3), (7, 6), 1.86, 1.07, 0.27, (-1.34, 1.36), 0.36, (-1.25, -0.62, 0.14), 0.24,
    ),
}  # fmt: skip
KINDS = ("hatchback", "saloon", "estate", "van", "transporter", "suv")
_SHARES = (0.34, 0.2, 0.2, 0.11, 0.06, 0.09)


def _varied(shape: Shape, rng: np.random.Generator) -> Shape:
    """Another model of the same kind: other lengths, heights, rakes and widths."""
    long, high = rng.uniform(0.94, 1.05), rng.uniform(0.97, 1.04)
    points = np.array(shape.outline) * (long, high)
    points[list(shape.window), 0] += rng.uniform(-0.02, 0.06, 2)
    points[list(shape.screen), 0] += rng.uniform(-0.08, 0.08, 2)
    points[1:-1, 1] += rng.uniform(-0.012, 0.012, len(points) - 2)
    points[:, 0] -= 0.5 * (points[0, 0] + points[-1, 0])
    return Shape(
        tuple(map(tuple, points.tolist())),
        shape.window,
        shape.screen,
        shape.width * rng.uniform(0.96, 1.04),
        shape.belt * high + rng.uniform(-0.02, 0.03),
        shape.sill * rng.uniform(0.9, 1.15),
        (shape.axles[0] * long + rng.uniform(-0.04, 0.06), shape.axles[1] * long + rng.uniform(-0.06, 0.04)),
        shape.wheel * rng.uniform(0.97, 1.06),
        tuple(p * long + rng.uniform(-0.05, 0.05) for p in shape.pillars),
        shape.tumblehome * rng.uniform(0.85, 1.15),
        float(rng.choice([0.0, 0.03, 0.05])),
    )


def _patch(grid: np.ndarray, material: Material) -> Mesh:
    """A patch as `Fitting` gives it for the left side, the left corners and the tail."""
    return surface(grid, material, flip=True)


def _side_windows(body: Body, fitting: Fitting, tinted: bool) -> Mesh:
    """The left side's band of windows: a dark frame, and panes between the pillars."""
    shape = body.shape
    x = np.linspace(shape.outline[shape.window[0]][0], shape.outline[shape.screen[0]][0], 160)
    top = body.top(x) - 0.085 * np.sqrt(1 + np.gradient(body.top(x), x) ** 2)
    base = np.full_like(x, shape.belt + 0.015) + 0.02 * np.clip(-x, 0, 2)
    high = x[top - base > 0.05]
    first, last = high[0] + (0.06 if shape.boot else 0.16), high[-1] - 0.02
    edges = [first, *[p for p in shape.pillars if first + 0.2 < p < last - 0.2], last]

    def band(start: float, end: float, inset: float, columns: int, by: float) -> np.ndarray:
        along = np.linspace(start, end, columns)
        low = np.interp(along, x, base) + inset
        upper = np.maximum(np.interp(along, x, top) - inset, low + 0.004)
        return fitting.side(along, low + np.linspace(0, 1, 3)[:, None] * (upper - low), by)

    parts = [_patch(band(first, last, 0.0, 14, 0.008), TRIM)]
    for i, (start, end) in enumerate(pairwise(edges)):
        glass = TINTED if tinted and i + 2 < len(edges) else GLASS
        parts.append(_patch(band(start + 0.035, end - 0.035, 0.022, 5, 0.012), glass))
    return joined(parts)


def _doors(body: Body, fitting: Fitting, handle: Material, rng: np.random.Generator) -> Mesh:
    """Door gaps, handles and rubbing strips of the left side."""
    shape, parts = body.shape, []
    front = shape.pillars[-1]
    four = len(shape.pillars) > 1 and rng.random() < 0.85
    for x in (front, front + 0.98, *([front - 0.85] if four else [])):
        low = max(shape.sill + 0.12, float(body.bottom(x)) + 0.04)
        parts.append(
            _patch(fitting.side(x + np.array([-0.008, 0.008]), np.linspace(low, shape.belt, 4)[:, None]), UNDERSIDE)
        )
    for x in (front + 0.14, *([front - 0.7] if four else [])):
        y = fitting.side(np.array([[x]]), np.array([[shape.belt - 0.13]]), 0.0)[0, 0, 1]
        parts.append(box((0.19, 0.045, 0.03), (x, y, shape.belt - 0.13), handle))
    if rng.random() < 0.35:
        along = np.linspace(shape.axles[0] + 1.25 * shape.wheel, shape.axles[1] - 1.25 * shape.wheel, 6)
        parts.append(_patch(fitting.side(along, np.array([[0.5], [0.56]]), 0.014), TRIM))
    return joined(parts)


def _lamps(body: Body, fitting: Fitting, rng: np.random.Generator) -> list[Mesh]:
    """Tail, brake, indicator and head lamps of both sides."""
    shape = body.shape
    half, shoulder = 0.5 * shape.width, shape.outline[2][1]  # lower edge of the rear window or edge of the boot lid
    if not shape.boot and rng.random() < 0.35:  # high and narrow, up beside the rear window
        low, high = shoulder - rng.uniform(0.2, 0.3), shoulder + rng.uniform(0.0, 0.16)
        inward, around = rng.uniform(0.13, 0.18), rng.uniform(0.06, 0.12)
    else:
        low = shoulder - rng.uniform(0.24, 0.32)
        high = low + rng.uniform(0.15, 0.22)
        inward, around = rng.uniform(0.2, 0.4), rng.uniform(0.1, 0.26)
    parts = []
    split = low + rng.uniform(0.4, 0.6) * (high - low)
    for z, lamp in ((np.linspace(low, split, 3), TAIL_LAMP), (np.linspace(split, high, 3), BRAKE_LAMP)):
        parts.append(both(_patch(fitting.corner(True, inward, around, z, half), lamp)))
    z, share = split + np.array([-0.025, 0.02]), rng.uniform(0.35, 0.7)
    blink = _patch(fitting.corner(True, share * inward, 0.4 * around, z, half, 0.015), LEFT_INDICATOR)
    nose = shape.outline[-2][1]
    bottom = nose - rng.uniform(0.06, 0.1)
    top = bottom + rng.uniform(0.12, 0.17)
    inward, around = rng.uniform(0.24, 0.42), rng.uniform(0.15, 0.4)
    parts.append(both(_patch(fitting.corner(False, inward, around, np.linspace(bottom, top, 4), half), LAMP)))
    z = np.array([bottom + 0.03, top - 0.035])
    parts.append(both(_patch(fitting.corner(False, 0.75 * inward, 0.1 * around, z, half, 0.015), _REFLECTOR)))
    z = bottom + np.array([0.0, 0.03])
    front = _patch(fitting.corner(False, 0.4 * inward, 0.7 * around, z, half, 0.018), LEFT_INDICATOR)
    for left in (blink, front):
        parts += [left, replace(mirrored(left), materials=(RIGHT_INDICATOR,))]
    return parts


def _ends(body: Body, fitting: Fitting, rng: np.random.Generator, color: Material) -> list[Mesh]:
    """Bumpers, grille, plates, rear window and windscreen."""
    shape = body.shape
    tail, nose, bonnet = shape.outline[0][1], shape.outline[-1][1], shape.outline[-2][1]

    def across(rear: bool, half: float, low: float, high: float, material: Material, by: float = 0.008) -> None:
        grid = fitting.end(rear, np.linspace(-half, half, 6), np.linspace(low, high, 3 if high - low > 0.05 else 2), by)
        parts.append(surface(grid, material, flip=rear))

    parts: list[Mesh] = []
    plate_high = rng.random() < 0.6 and not shape.boot
    half = 0.5 * shape.width
    across(True, half - 0.28, tail - 0.19, tail - 0.09, TRIM)
    gap, shoulder = shape.outline[1][1], shape.outline[2][1]
    across(True, half - 0.16, gap, gap + 0.016, UNDERSIDE)
    for y in (0.16 - half, half - 0.175):  # the gaps beside the tailgate or boot lid
        grid = fitting.end(True, y + np.array([0.0, 0.014]), np.linspace(gap + 0.02, shoulder - 0.02, 4), 0.004)
        parts.append(_patch(grid, UNDERSIDE))
    if rng.random() < 0.8:
        across(True, 0.032, shoulder - 0.12, shoulder - 0.06, _BADGE, 0.012)
    if plate_high:
        across(True, 0.36, tail + 0.205, tail + 0.35, TRIM if rng.random() < 0.4 else color, 0.006)
        if rng.random() < 0.6:
            across(True, 0.34, tail + 0.355, tail + 0.38, CHROME, 0.014)
    elif rng.random() < 0.4:
        across(True, half - 0.2, tail - 0.02, tail + 0.03, TRIM, 0.006)
    across(False, half - 0.3, nose - 0.16, nose - 0.08, TRIM)
    grille = rng.uniform(0.3, 0.5)
    across(False, grille, nose + 0.08, bonnet - 0.02, TRIM)
    if rng.random() < 0.6:
        across(False, grille, bonnet - 0.03, bonnet - 0.005, CHROME, 0.014)
    for rear, z in ((True, tail + (0.28 if plate_high else 0.04)), (False, nose - 0.01)):
        parts.append(number_plate(float(fitting.end(rear, np.zeros(1), np.array([z]), 0.02)[0, 0, 0]), z, rear))
    rear_glass = TINTED if rng.random() < 0.5 else GLASS
    for lower, upper, inset, glass in (
        (*shape.window, (0.02, 0.06, 0.07), rear_glass),
        (*shape.screen, (0.02, 0.05, 0.06), GLASS),
    ):
        parts.append(_patch(raised(body.pane(lower, upper, inset), 0.01, flip=True), glass))
    high, low = (np.array(shape.outline[i]) for i in reversed(shape.window))
    slim = np.stack([high + (low - high) * s / np.linalg.norm(high - low) for s in (0.07, 0.03)])
    parts.append(_patch(raised(body.skin(slim, np.linspace(-0.25, 0.25, 3)), 0.016, flip=True), BRAKE_LAMP))
    return parts


def _underside(body: Body) -> list[Mesh]:
    """The floor and the wheel wells: dark, so that no light shines through."""
    shape = body.shape
    start, end = shape.outline[0][0] + 0.12, shape.outline[-1][0] - 0.12
    inside = 0.5 * shape.width - 0.26
    low, high = shape.sill + 0.03, 2.05 * shape.wheel
    parts = [box((end - start, 2 * inside, 0.22), (0.5 * (start + end), 0, low + 0.11), UNDERSIDE)]
    for axle in shape.axles:
        x = np.clip(axle + np.array([-1.3, 1.3]) * shape.wheel, start + 0.15, end - 0.15)
        parts.append(box((np.ptp(x), 2 * inside, high - low), (x.mean(), 0, 0.5 * (low + high)), UNDERSIDE))
    x = np.array(shape.axles) + np.array([1.2, -1.2]) * shape.wheel
    parts.append(box((np.ptp(x), shape.width - 0.14, 0.1), (x.mean(), 0, low + 0.05), UNDERSIDE))
    return parts


def _extras(body: Body, fitting: Fitting, rng: np.random.Generator, color: Material) -> list[Mesh]:
    """Mirrors on both sides, sometimes roof rails."""
    shape = body.shape
    x, z = shape.outline[shape.screen[0]][0] - 0.42, shape.belt + 0.08
    y = fitting.side(np.array([[x]]), np.array([[z]]), 0.0)[0, 0, 1]
    cover = box((0.12, 0.2, 0.13), (x, y + 0.11, z), color if rng.random() < 0.7 else TRIM, bevel=0.035)
    parts = [both(joined([cover, box((0.01, 0.13, 0.07), (x - 0.058, y + 0.11, z), GLASS)]))]
    if not shape.boot and rng.random() < 0.25:
        along = np.linspace(shape.outline[shape.window[1]][0] + 0.3, shape.outline[shape.screen[1]][0] - 0.15, 5)
        z = body.top(along) + np.array([-0.03, 0.03, 0.035, 0.03, -0.03])
        y = body.half_width(along, body.top(along) - 0.06) - 0.05
        rail = CHROME if rng.random() < 0.5 else TRIM
        parts.append(both(tube(np.stack([along, y, z], 1), np.full(5, 0.016), rail, 5, (0, 0, 1))))
    return parts


def car(rng: np.random.Generator, kind: str | None = None) -> Vehicle:
    """A passenger car of a ``kind`` in `KINDS`, or of one drawn as often as it is seen; never two quite alike."""
    kind = kind or KINDS[rng.choice(len(KINDS), p=_SHARES)]
    shape, color = _varied(_SHAPES[kind], rng), paint(rng)
    old_fashioned = rng.random() < 0.15  # unpainted sills and door handles
    body = Body(shape)
    skins = body.painted(color, TRIM if old_fashioned or kind == "suv" else color)
    fitting = Fitting(skins)
    mesh = joined(
        [
            skins,
            both(_side_windows(body, fitting, rng.random() < 0.4)),
            both(_doors(body, fitting, TRIM if old_fashioned else color, rng)),
            *_lamps(body, fitting, rng),
            *_ends(body, fitting, rng, color),
            *_underside(body),
            *_extras(body, fitting, rng, color),
        ]
    )
    silver = float(rng.uniform(0.25, 0.5))
    rim = Material((silver, silver, 1.02 * silver), gloss=0.12, seed=int(rng.integers(1 << 30)))
    width = float(rng.uniform(0.19, 0.23))
    one = wheel_mesh(shape.wheel, width, rim, int(rng.choice([0, 5, 5, 6, 7, 8])))
    track = 0.5 * (shape.width - width) - 0.025
    wheels = {Wheel(x, y, shape.wheel, x > 0): one for x in shape.axles for y in (track, -track)}
    points = np.array(shape.outline)
    return vehicle((float(np.ptp(points[:, 0])), shape.width, float(points[:, 1].max())), CAR, mesh, wheels)
