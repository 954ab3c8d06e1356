"""Trucks and buses: tarpaulin and box bodies, tankers, semi-trailers, city buses and coaches."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from mapt_ros.synthetic.cabs import across, bonneted, cab_over, left_side
from mapt_ros.synthetic.car_body import Fitting
from mapt_ros.synthetic.mesh import Material, Mesh, Texture, joined
from mapt_ros.synthetic.solids import both, box, hull, mirrored, surface, tube
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
    vehicle,
    wheel_mesh,
)

TRUCK, BUS = 14, 15
TRUCK_KINDS = ("pickup", "box", "tarpaulin", "tanker", "semi")
_FRAME = Material((0.02, 0.02, 0.021), seed=21)
_ALUMINIUM = Material((0.45, 0.46, 0.47), gloss=0.15, seed=22)
_CABS = (
    (0.65, 0.65, 0.64),
    (0.38, 0.02, 0.02),
    (0.03, 0.08, 0.28),
    (0.02, 0.1, 0.06),
    (0.5, 0.33, 0.02),
    (0.2, 0.2, 0.21),
)
_CAB_SHARES = (0.42, 0.14, 0.16, 0.08, 0.1, 0.1)
_COVERS = (
    (0.3, 0.012, 0.015),
    (0.03, 0.07, 0.22),
    (0.3, 0.31, 0.32),
    (0.55, 0.55, 0.53),
    (0.03, 0.1, 0.06),
    (0.5, 0.35, 0.04),
)
_WARNINGS = (((0.55, 0.02, 0.02), (0.7, 0.5, 0.02)), ((0.55, 0.02, 0.02), (0.7, 0.7, 0.68)))


def _one_of(options, rng: np.random.Generator, shares=None):
    return options[rng.choice(len(options), p=shares)]


def _painted(color, rng: np.random.Generator, gloss: float = 0.04, texture: Texture = Texture.PLAIN) -> Material:
    color = np.clip(np.array(color) * rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3), 0.01, 0.78)
    return Material(tuple(color.tolist()), texture, scale=1.2, gloss=gloss, seed=int(rng.integers(1 << 30)))


def _rear_lamps(x: float, half: float, z: float, upright: bool = False) -> list[Mesh]:
    """Lamp clusters on both sides of the rear at ``x``."""
    size, step = ((0.03, 0.13, 0.15), (0, 0, 0.16)) if upright else ((0.03, 0.14, 0.12), (0, -0.15, 0))
    places = np.array([x, half - 0.12, z]) + np.arange(3)[:, None] * np.array(step)
    frame = box((0.05, 0.2 if upright else 0.5, 0.52 if upright else 0.17), places[1] + (0.02, 0, 0), TRIM)
    lamps = [box(size, place, lamp) for place, lamp in zip(places[[0, 2]], (TAIL_LAMP, BRAKE_LAMP), strict=True)]
    blink = box(size, places[1], LEFT_INDICATOR)
    return [both(joined([frame, *lamps])), blink, replace(mirrored(blink), materials=(RIGHT_INDICATOR,))]


def _tail(x: float, half: float, z: float, rng: np.random.Generator, warning: Material | None) -> list[Mesh]:
    """What hangs below a truck's body at the rear: lamps, bumper bar, plate, mud flaps, warning stripes."""
    parts = _rear_lamps(x + 0.02, half, z - 0.2)
    parts.append(box((0.1, 2 * half - 0.1, 0.12), (x + 0.1, 0, z - 0.4), _FRAME if rng.random() < 0.6 else _ALUMINIUM))
    parts.append(number_plate(x, z - 0.2 + rng.uniform(-0.05, 0.02), rear=True))
    parts.append(both(box((0.02, 0.45, 0.5), (x + 0.5, half - 0.3, 0.42), TRIM)))
    if warning:
        grid = np.stack(
            np.broadcast_arrays(x - 0.012, np.array([[-half, half]]), np.array([[z + 0.03], [z + 0.2]])), -1
        )
        parts.append(surface(grid, warning, flip=True))
    return parts


def _warning(rng: np.random.Generator, chance: float) -> Material | None:
    if rng.random() > chance:
        return None
    color, second = _one_of(_WARNINGS, rng)
    return Material(color, Texture.STRIPES, scale=0.32, second=second, seed=int(rng.integers(1 << 30)))


def _rolling(axles: list[tuple[float, bool, bool]], half: float, radius: float, rim: Material) -> dict[Wheel, Mesh]:
    """Wheels at axles given by (x, doubled, steered)."""
    wheels = {}
    for x, doubled, steered in axles:
        width = (0.56 if doubled else 0.28) * (radius / 0.5)
        mesh = wheel_mesh(radius, width, rim, 0, sections=12)
        for side in (1, -1):
            wheels[Wheel(x, side * (half - 0.5 * width - 0.02), radius, steered)] = mesh
    return wheels


def _cargo(
    kind: str, x0: float, x1: float, half: float, floor: float, top: float, rng: np.random.Generator
) -> list[Mesh]:
    """A body on the frame from ``x0`` to ``x1``: "box", "tarpaulin", "boards" (a tarpaulin over drop sides) or "tank"."""
    middle, long = 0.5 * (x0 + x1), x1 - x0
    if kind == "tank":
        return _tank(x0, x1, half, floor, top, rng)
    if kind == "box":
        color = _painted(_one_of(((0.68, 0.68, 0.66), *_COVERS), rng, (0.58, *(6 * (0.07,)))), rng, gloss=0.02)
        parts = [box((long, 2 * half, top - floor), (middle, 0, 0.5 * (floor + top)), color, bevel=0.03)]
        edges = _ALUMINIUM if rng.random() < 0.5 else color
        for z in (floor + 0.05, top - 0.05):  # frame of the rear doors, with their gap and bars
            parts.append(box((0.03, 2 * half - 0.02, 0.1), (x0 - 0.005, 0, z), edges))
        parts.append(
            both(box((0.03, 0.09, top - floor - 0.05), (x0 - 0.005, half - 0.055, 0.5 * (floor + top)), edges))
        )
        parts.append(box((0.02, 0.025, top - floor - 0.2), (x0 - 0.004, 0, 0.5 * (floor + top)), UNDERSIDE))
        for y in (0.3 * half, 0.62 * half):
            parts.append(both(box((0.035, 0.035, top - floor - 0.1), (x0 - 0.02, y, 0.5 * (floor + top)), _ALUMINIUM)))
        if rng.random() < 0.5:  # a firm's colours
            band = _painted(_one_of(_COVERS, rng), rng)
            z = rng.uniform(0.3, 0.75) * (top - floor) + floor
            parts.append(box((0.75 * long, 2 * half + 0.02, rng.uniform(0.25, 0.8)), (middle, 0, z), band))
        return parts
    boards = floor + (0.42 if kind == "boards" else 0.12)
    cover = _painted(_one_of(_COVERS, rng), rng, gloss=0.015, texture=Texture.CLOTH)
    cover = replace(cover, second=None, seed=3 * (cover.seed // 3) + 1)  # a third of the seeds would give it a print
    tarp = hull(
        np.array(
            [
                (x0, half - 0.02, boards, top - 0.02, 0.08),
                *(
                    (x, half - 0.02 * (i % 2), boards, top - 0.04 * (i % 2), 0.1)
                    for i, x in enumerate(np.linspace(x0, x1, 9)[1:-1])
                ),
                (x1, half - 0.02, boards, top - 0.02, 0.08),
            ]
        ),
        cover,
        steps=2,
    )
    side = _ALUMINIUM if rng.random() < 0.7 else _painted(_one_of(_CABS, rng), rng)
    parts = [tarp, box((long, 2 * half + 0.03, boards - floor), (middle, 0, 0.5 * (boards + floor)), side, bevel=0.02)]
    if kind == "boards" and rng.random() < 0.55:  # open behind: one looks into the dark
        parts.append(
            box((0.02, 2 * half - 0.2, 0.8 * (top - boards)), (x0 - 0.01, 0, boards + 0.42 * (top - boards)), UNDERSIDE)
        )
    else:
        parts.append(both(box((0.03, 0.06, top - boards - 0.1), (x0 - 0.01, half - 0.08, 0.5 * (top + boards)), side)))
        parts.append(box((0.025, 0.03, top - boards - 0.2), (x0 - 0.008, 0, 0.5 * (top + boards)), TRIM))
    return parts


def _tank(x0: float, x1: float, half: float, floor: float, top: float, rng: np.random.Generator) -> list[Mesh]:
    """A tank with domed ends, ladder and walkway."""
    steel = Material((0.5, 0.51, 0.52), gloss=0.3, seed=int(rng.integers(1 << 30)))
    shell = steel if rng.random() < 0.55 else _painted((0.6, 0.6, 0.58), rng, gloss=0.06)
    round_ = 0.5 * (top - floor)
    z = floor + round_
    share = np.array([0.0, 0.55, 0.85, 1.0, 1.0, 1.0, 1.0, 0.85, 0.55, 0.0])
    x = np.array(
        [
            x0,
            x0 + 0.06,
            x0 + 0.2,
            x0 + 0.5,
            x0 + 0.35 * (x1 - x0),
            x0 + 0.7 * (x1 - x0),
            x1 - 0.5,
            x1 - 0.2,
            x1 - 0.06,
            x1,
        ]
    )
    path = np.stack([x, np.zeros(10), np.full(10, z)], axis=1)
    radii = np.stack([round_ * share, (half - 0.05) * share], axis=1) + 0.02
    parts = [tube(path, radii, shell, sides=18, forward=(0, 0, 1))]
    parts.append(box((x1 - x0 - 1.2, 0.5, 0.06), (0.5 * (x0 + x1), 0, top + 0.03), _FRAME))
    for y in (-0.2, 0.2):
        parts.append(box((0.04, 0.04, top - floor), (x0 - 0.02, y, z), _ALUMINIUM))
    for step in np.arange(floor + 0.3, top, 0.35):
        parts.append(box((0.03, 0.4, 0.03), (x0 - 0.02, 0, step), _ALUMINIUM))
    if rng.random() < 0.7:
        pipe = np.array([(x0 + 1.0, 0, 0), (x1 - 2.0, 0, 0)]) + (0, half - 0.25, floor - 0.05)
        parts.append(both(tube(pipe, np.full(2, 0.14), TRIM, 8, (0, 0, 1))))
    band = _painted(_one_of(_COVERS, rng), rng)
    parts.append(tube(path[3:5] + (0.6, 0, 0), radii[3:5] + 0.012, band, sides=18, forward=(0, 0, 1)))
    return parts


def _chassis(
    x0: float, x1: float, half: float, z: float, wheels: list[float], radius: float, skirt: bool
) -> list[Mesh]:
    """Frame, mudguards and side guards under a body from ``x0`` to ``x1``."""
    parts = [box((x1 - x0, 0.9, 0.26), (0.5 * (x0 + x1), 0, z - 0.13), _FRAME)]
    for x in wheels:
        parts.append(box((2 * radius + 0.1, 2 * half - 0.7, 0.3), (x, 0, radius), UNDERSIDE))
    gaps = sorted(wheels)
    for rear, front in zip([x0, *gaps], [*gaps, x1], strict=True):
        start, end = rear + 1.25 * radius, front - 1.25 * radius
        if end - start < 0.9:
            continue
        middle, long = 0.5 * (start + end), end - start
        if skirt:
            for height in (0.55, 0.82):
                parts.append(both(box((long, 0.03, 0.12), (middle, half - 0.05, height), _ALUMINIUM)))
        else:
            parts.append(both(box((0.55 * long, 0.5, 0.5), (middle, half - 0.35, 0.72), _FRAME, bevel=0.06)))
    return parts


def truck(rng: np.random.Generator, kind: str | None = None) -> Vehicle:
    """A truck of a ``kind`` in `TRUCK_KINDS`: light with drop sides and tarpaulin, rigid with a box or a tarpaulin,
    or a tractor with a tank or tarpaulin semi-trailer."""
    kind = kind or _one_of(TRUCK_KINDS, rng, (0.3, 0.28, 0.14, 0.12, 0.16))
    color = _painted(_one_of(_CABS, rng, _CAB_SHARES), rng)
    rim = Material(
        _one_of(((0.5, 0.5, 0.5), (0.2, 0.2, 0.2), (0.35, 0.02, 0.02)), rng, (0.6, 0.3, 0.1)), gloss=0.05, seed=23
    )
    if kind == "pickup":
        return _pickup(color, rim, rng)
    if kind in ("box", "tarpaulin"):
        return _rigid(kind, color, rim, rng)
    return _articulated("tank" if kind == "tanker" else "tarpaulin", color, rim, rng)


def _pickup(color: Material, rim: Material, rng: np.random.Generator) -> Vehicle:
    long, half, tall = float(rng.uniform(5.4, 6.4)), float(rng.uniform(0.98, 1.08)), float(rng.uniform(2.1, 2.3))
    front, rear = 0.5 * long, -0.5 * long
    parts, back = bonneted(front, 0.95 * half, tall, color)
    floor, top = 0.92, float(rng.uniform(2.3, 2.75))
    axles = [(front - 0.6, False, True), (rear + 1.3, True, False)]
    parts += _cargo(_one_of(("boards", "boards", "box"), rng), rear, back - 0.06, half, floor, top, rng)
    parts += _chassis(rear + 0.1, back + 0.3, half, floor, [x for x, *_ in axles][1:], 0.35, skirt=False)
    parts += _tail(rear, half, floor, rng, _warning(rng, 0.6))
    return vehicle((long, 2 * half, max(top, tall)), TRUCK, joined(parts), _rolling(axles, half - 0.03, 0.35, rim))


def _rigid(kind: str, color: Material, rim: Material, rng: np.random.Generator) -> Vehicle:
    long, half = float(rng.uniform(6.8, 9.4)), float(rng.uniform(1.14, 1.27))
    front, rear = 0.5 * long, -0.5 * long
    tall = float(rng.uniform(2.5, 2.9))
    parts, back = cab_over(front, half - 0.06, tall, color, rng)
    floor, top, radius = 1.05, float(rng.uniform(3.2, 3.8)), 0.45
    axles = [(front - 1.0, False, True), (rear + 0.24 * long, True, False)]
    parts += _cargo(kind, rear, back - 0.1, half, floor, top, rng)
    parts += _chassis(rear + 0.1, back + 0.6, half, floor, [axles[1][0]], radius, skirt=rng.random() < 0.6)
    parts += _tail(rear, half, floor, rng, _warning(rng, 0.3))
    return vehicle((long, 2 * half, max(top, tall)), TRUCK, joined(parts), _rolling(axles, half - 0.03, radius, rim))


def _articulated(cargo: str, color: Material, rim: Material, rng: np.random.Generator) -> Vehicle:
    long, half = float(rng.uniform(12.5, 15.5)), 1.26
    front, rear = 0.5 * long, -0.5 * long
    tall, radius = float(rng.uniform(3.1, 3.75)), 0.5
    parts, back = cab_over(front, half - 0.03, tall, color, rng)
    floor, top = (1.2, float(rng.uniform(3.2, 3.6))) if cargo == "tank" else (1.15, float(rng.uniform(3.8, 4.0)))
    nose = back - (1.1 if cargo == "tank" else 0.5)
    axles = [(front - 1.25, False, True), (front - 4.7, True, False)]
    axles += [(rear + 0.9 + 1.3 * i, False, False) for i in range(3)]
    parts += _cargo(cargo, rear, nose, half, floor, top, rng)
    parts += _chassis(rear + 0.1, nose - 0.4, half, floor, [x for x, *_ in axles[2:]], radius, skirt=True)
    parts.append(box((5.2, 0.9, 0.3), (front - 3.1, 0, 0.85), _FRAME))
    parts.append(
        both(
            tube(
                np.array([(front - 3.7, half - 0.4, 0.68), (front - 2.5, half - 0.4, 0.68)]),
                np.full(2, 0.3),
                CHROME,
                10,
                (0, 0, 1),
            )
        )
    )
    guards = tube(
        np.array([(front - 5.35, 0, 0.95), (front - 4.7, 0, 1.1), (front - 4.05, 0, 0.95)]),
        np.full((3, 2), (0.03, 0.28)),
        TRIM,
        6,
        (0, 0, 1),
    )
    parts.append(both(guards.moved(np.array([[1, 0, 0, 0], [0, 1, 0, half - 0.32], [0, 0, 1, 0], [0, 0, 0, 1.0]]))))
    parts += _tail(rear, half, floor, rng, _warning(rng, 0.15))
    return vehicle(
        (long, 2 * half, max(top + 0.06 * (cargo == "tank"), tall)),
        TRUCK,
        joined(parts),
        _rolling(axles, half - 0.03, radius, rim),
    )


def bus(rng: np.random.Generator) -> Vehicle:
    """A city bus or a coach, with a band of big windows, doors on the right side, and a display in front."""
    coach = rng.random() < 0.35
    long, half = float(rng.uniform(10.5, 12.4)), float(rng.uniform(1.22, 1.275))
    tall, radius = float(rng.uniform(3.4, 3.65) if coach else rng.uniform(2.9, 3.1)), 0.48
    front, rear = 0.5 * long, -0.5 * long
    low, sill, lintel = 0.32, (1.65 if coach else 1.15), tall - (0.45 if coach else 0.55)
    palette = (
        (0.62, 0.62, 0.6),
        (0.5, 0.32, 0.01),
        (0.36, 0.02, 0.02),
        (0.03, 0.1, 0.3),
        (0.35, 0.36, 0.37),
        (0.05, 0.2, 0.12),
    )
    color = _painted(_one_of(palette, rng, (0.35, 0.2, 0.15, 0.12, 0.1, 0.08)), rng)
    shell = hull(
        np.array(
            [
                (rear, half - 0.1, low + 0.1, tall - 0.2, 0.18),
                (rear + 0.06, half - 0.03, low + 0.06, tall - 0.07, 0.2),
                (rear + 0.25, half, low, tall, 0.22),
                (front - 0.45, half, low, tall, 0.22),
                (front - 0.14, half - 0.05, low, tall - 0.08, 0.22),
                (front, half - 0.16, low + 0.03, tall - 0.3, 0.2),
            ]
        ),
        color,
        steps=4,
    )
    fitting = Fitting(shell)
    glass = TINTED if coach or rng.random() < 0.5 else GLASS
    parts = [shell]
    axles = [(front - 2.65, False, True), (rear + 3.3, True, False)]
    posts = np.linspace(rear + 0.5, front - (1.0 if coach else 0.35), int(rng.integers(6, 9)))
    parts.append(both(left_side(fitting, (posts[0] - 0.08, posts[-1] + 0.05), (sill - 0.05, lintel + 0.05), TRIM)))
    parts += [both(left_side(fitting, (a + 0.03, b - 0.03), (sill, lintel), glass, 0.02)) for a, b in pairwise(posts)]
    for x, *_ in axles:
        arch = radius * 1.22 * np.cos(np.linspace(np.pi, 0, 9))
        rise = np.sqrt(np.maximum((1.22 * radius) ** 2 - arch**2, 0.0)) + radius
        grid = fitting.side(x + arch, np.stack([np.full(9, low + 0.02), np.maximum(rise, low + 0.03)]), 0.014)
        parts.append(both(surface(grid, UNDERSIDE, flip=True)))
    if rng.random() < 0.5:  # a second colour below
        skirt = _painted(_one_of(palette, rng), rng)
        parts.append(both(left_side(fitting, (rear + 0.3, front - 0.5), (low + 0.15, low + 0.5), skirt, 0.008)))
    doors = (front - 1.1, 0.5 * (axles[0][0] + axles[1][0]) + 0.2) if not coach else (front - 1.0,)
    for x in doors:
        door = joined(
            [
                left_side(fitting, (x - 0.62, x + 0.62), (low + 0.03, lintel + 0.06), TRIM, 0.024),
                *(
                    left_side(fitting, (x + d - 0.26, x + d + 0.26), (low + 0.15, lintel), GLASS, 0.03)
                    for d in (-0.3, 0.3)
                ),
            ]
        )
        parts.append(mirrored(door))
    parts += [
        across(
            fitting,
            False,
            (-half + 0.1, half - 0.1),
            (sill - 0.15 if not coach else 1.3, lintel + (0.12 if coach else 0.0)),
            GLASS,
        ),
        across(fitting, False, (-half + 0.3, half - 0.3), (low + 0.06, low + 0.3), TRIM),
        both(across(fitting, False, (half - 0.55, half - 0.2), (0.62, 0.82), LAMP, 0.02)),
        across(fitting, True, (-half + 0.25, half - 0.25), (sill + (0.1 if coach else 0.35), lintel), TINTED),
        across(fitting, True, (-half + 0.35, half - 0.35), (0.62, 1.0), TRIM),
        across(fitting, True, (-half + 0.1, half - 0.1), (low + 0.1, low + 0.24), TRIM, 0.03),
        number_plate(rear - 0.035, 0.56 if coach else 1.12, rear=True),
        number_plate(front + 0.03, 0.5, rear=False),
        *_rear_lamps(rear - 0.005, half - 0.02, 0.75, upright=True),
        both(box((0.14, 0.16, 0.42), (front + 0.1, half - 0.02, lintel - 0.35), TRIM, bevel=0.03)),
        box((long - 1.0, 2 * half - 0.8, 0.3), (0, 0, low + 0.05), UNDERSIDE),
    ]
    if not coach:
        amber = Material((0.9, 0.45, 0.03), Texture.PLATE, scale=0.22, second=(0.01, 0.01, 0.01), emission=0.7, seed=24)
        parts.append(across(fitting, False, (-half + 0.2, half - 0.2), (lintel + 0.06, tall - 0.2), TRIM))
        parts.append(across(fitting, False, (-0.6, 0.6), (lintel + 0.1, lintel + 0.28), amber, 0.025))
        parts.append(across(fitting, True, (-0.3, 0.3), (lintel + 0.06, lintel + 0.22), TRIM))
        parts.append(hull(np.array([(x, 0.8, tall - 0.02, tall + 0.2, 0.08) for x in (-2.0, 1.5)]), color))
    rim = Material((0.42, 0.42, 0.42), gloss=0.08, seed=25)
    size = (long, 2 * half, tall + (0.0 if coach else 0.2))
    return vehicle(size, BUS, joined(parts), _rolling(axles, half + 0.06, radius, rim))
