"""Bicycles and motorcycles, parked or under their riders."""

from dataclasses import dataclass, replace

import numpy as np

from mapt_ros.synthetic.figure import (
    ARM,
    BONES,
    CHEST,
    FOOT,
    FOREARM,
    HEAD,
    PELVIS,
    RIGHT_ARM,
    RIGHT_LEG,
    SHIN,
    THIGH,
    Figure,
    dressed,
    figure,
)
from mapt_ros.synthetic.mesh import GAP, Material, Mesh, Piece, joined, one_material, pose
from mapt_ros.synthetic.solids import box, ellipsoid, surface, tube, turned
from mapt_ros.synthetic.vehicle import (
    BRAKE_LAMP,
    CHROME,
    LAMP,
    LEFT_INDICATOR,
    PLATE,
    RIGHT_INDICATOR,
    TRIM,
    TYRE,
    UNDERSIDE,
    Vehicle,
    Wheel,
    paint,
    vehicle,
)

RIDER, MOTORCYCLE, BICYCLE = 12, 17, 18
_CRANK = 0.15  # metres from the crank's axle to a pedal
_STEEL = Material((0.4, 0.4, 0.41), gloss=0.2, seed=31)


def _bar(*places, radius: float, material: Material, sides: int = 5) -> Mesh:
    """A round bar through places (x, y, z)."""
    path = np.array(places, dtype=np.float64)
    along = np.abs(path[-1] - path[0])
    forward = np.eye(3)[int(np.argmin(along))]
    return tube(path, np.full(len(path), radius), material, sides, forward)


def _spoked_wheel(radius: float, width: float, spokes: int) -> Mesh:
    """A wheel that one can look through: tyre, rim and spokes around the y axis."""
    half = 0.5 * width
    ring = [(radius - 1.2 * width, -0.6 * half), (radius - 0.5 * width, -half), (radius, 0.0), (radius - 0.5 * width, half),
            (radius - 1.2 * width, 0.6 * half), (radius - 1.2 * width, -0.6 * half)]  # fmt: skip
    parts = [turned(np.array(ring), TYRE, 18)]
    parts.append(_bar((0, -0.035, 0), (0, 0.035, 0), radius=0.03, material=_STEEL))
    reach = radius - 1.1 * width
    for turn in np.linspace(0, np.pi, spokes, endpoint=False):
        along, across = np.array([np.cos(turn), 0, np.sin(turn)]), np.array([-np.sin(turn), 0, np.cos(turn)])
        edge = 0.0025 * across
        grid = np.stack(
            [
                np.stack([-along * reach - edge, along * reach - edge]),
                np.stack([-along * reach + edge, along * reach + edge]),
            ]
        )
        parts.append(surface(grid, _STEEL))
    parts.append(turned(np.array([(reach, 0.0), (0.0, 0.0)]), GAP, 18))
    return joined(parts)


def _bicycle_parts(rng: np.random.Generator) -> tuple[Mesh, dict[Wheel, Mesh], tuple[float, float, float]]:
    """Frame with all that is fixed to it, wheels, and the size."""
    radius = float(rng.uniform(0.33, 0.35))
    base = float(rng.uniform(1.02, 1.12))
    color = paint(rng)
    rear, front = np.array([-0.5 * base, 0, radius]), np.array([0.5 * base, 0, radius])
    crank = rear + (0.43, 0, -0.06)
    seat, head = crank + (-0.16, 0, 0.48), front + (-0.2, 0, 0.52)
    low_step = rng.random() < 0.5
    handle = head + (-0.04, 0, 0.16)
    parts = [
        _bar(crank, seat + (-0.03, 0, 0.12), radius=0.017, material=color),
        _bar(crank, head + (0.02, 0, -0.12), radius=0.019, material=color),
        _bar(crank + (-0.05, 0, 0.22) if low_step else seat + (0, 0, -0.03), head + (0, 0, -0.04), radius=0.016, material=color),
        *(_bar(rear + (0, y, 0), end, radius=0.01, material=color) for y in (-0.05, 0.05) for end in (crank, seat)),
        *(_bar(front + (0, y, 0), head + (0, 0.6 * y, -0.1), radius=0.012, material=color) for y in (-0.05, 0.05)),
        _bar(head + (0.03, 0, -0.12), handle, radius=0.016, material=color),
        _bar(handle + (-0.14, 0.29, 0.02), handle + (0, 0.1, 0.03), handle + (0, -0.1, 0.03), handle + (-0.14, -0.29, 0.02), radius=0.014, material=TRIM),
        ellipsoid((0.14, 0.075, 0.035), seat + (-0.06, 0, 0.14), TRIM),
        _bar(crank + (0, -0.06, 0), crank + (0, 0.06, 0), radius=0.07, material=TRIM, sides=8),
    ]  # fmt: skip
    parts += [
        one_material(np.array(ends), np.array([[0, 1, 2]]), GAP) for ends in ((crank, seat, head), (rear, crank, seat))
    ]
    turns = np.linspace(0.1 * np.pi, 0.95 * np.pi, 7)
    if rng.random() < 0.7:  # mudguards
        for hub in (rear, front):
            x, z = (radius + 0.03) * np.cos(turns), (radius + 0.03) * np.sin(turns)
            grid = np.stack([hub + np.stack([x, np.full(7, y), z], 1) for y in (-0.028, 0.028)])
            parts.append(surface(grid, TRIM, flip=True))
    if rng.random() < 0.6:  # luggage carrier, sometimes with a basket or bags
        parts.append(box((0.36, 0.13, 0.02), rear + (-0.08, 0, radius + 0.1), TRIM))
        chance = rng.random()
        if chance < 0.25:
            parts.append(box((0.34, 0.28, 0.22), rear + (-0.08, 0, radius + 0.22), TRIM, bevel=0.02))
        elif chance < 0.5:
            bag = replace(paint(rng), gloss=0.0)
            parts += [box((0.32, 0.12, 0.32), rear + (-0.08, y, radius - 0.06), bag, bevel=0.03) for y in (-0.15, 0.15)]
    parts.append(box((0.02, 0.06, 0.05), rear + (-0.18, 0, radius + 0.06), BRAKE_LAMP))
    parts.append(box((0.05, 0.06, 0.06), head + (0.1, 0, 0.0), LAMP))
    wheel = _spoked_wheel(radius, 0.04, 7)
    wheels = {Wheel(float(rear[0]), 0.0, radius): wheel, Wheel(float(front[0]), 0.0, radius, True): wheel}
    return joined(parts), wheels, (base + 2 * radius, 0.6, float(handle[2] + 0.05))


def _motorcycle_parts(
    rng: np.random.Generator, scooter: bool
) -> tuple[Mesh, dict[Wheel, Mesh], tuple[float, float, float]]:
    """Body, wheels and size of a motorcycle or a scooter."""
    radius = float(rng.uniform(0.22, 0.25) if scooter else rng.uniform(0.3, 0.33))
    base = float(rng.uniform(1.2, 1.3) if scooter else rng.uniform(1.38, 1.5))
    color = paint(rng)
    rear, front = np.array([-0.5 * base, 0, radius]), np.array([0.5 * base, 0, radius])
    head = front + (-0.24 if scooter else -0.3, 0, 0.6 if scooter else 0.55)
    handle = head + (-0.08, 0, 0.14)
    seat = np.array([-0.3, 0, 0.76])

    def swept(places, radii, material: Material, sides: int = 10) -> Mesh:
        return tube(np.array(places), np.array(radii), material, sides, (0, 0, 1))

    parts = [
        *(_bar(front + (0, y, 0), head + (0, y, 0), radius=0.024, material=_STEEL) for y in (-0.09, 0.09)),
        _bar(handle + (-0.12, 0.37, 0), handle + (0.02, 0.12, 0.02), handle + (0.02, -0.12, 0.02), handle + (-0.12, -0.37, 0), radius=0.016, material=TRIM),
        swept([seat + (0.28, 0, -0.02), seat + (0, 0, 0), seat + (-0.35, 0, 0.05), seat + (-0.45, 0, 0.07)], [(0.05, 0.1), (0.06, 0.15), (0.06, 0.13), (0.03, 0.06)], TRIM),
        swept([seat + (-0.5, 0, 0.04), seat + (-0.2, 0, -0.08), seat + (0.15, 0, -0.16)], [(0.04, 0.08), (0.09, 0.13), (0.14, 0.14)], color),
        ellipsoid((0.08, 0.1, 0.1), head + (0.1, 0, 0.02), LAMP),
        box((0.06, 0.2, 0.05), (rear[0] - 0.12, 0, 0.78), BRAKE_LAMP),
        surface(np.stack(np.broadcast_arrays(rear[0] - 0.2, np.array([[-0.1, 0.1]]), np.array([[0.5], [0.66]])), -1), PLATE, flip=True),
        box((0.02, 0.18, 0.14), (rear[0] - 0.185, 0, 0.58), TRIM),
        box((0.25, 0.04, 0.03), (rear[0] - 0.07, 0, 0.67), TRIM),
        *(box((0.04, 0.12, 0.08), handle + (-0.02, y, 0.14), TRIM, bevel=0.015) for y in (-0.34, 0.34)),
    ]  # fmt: skip
    if scooter:
        parts.append(box((0.45, 0.3, 0.09), (0.12, 0, 0.3), TRIM, bevel=0.03))
        parts.append(box((0.07, 0.4, 0.62), head + (-0.02, 0, -0.22), color, bevel=0.03))
        parts.append(
            swept(
                [(rear[0] - 0.1, 0, 0.52), (rear[0] + 0.2, 0, 0.5), (-0.05, 0, 0.42)],
                [(0.12, 0.12), (0.2, 0.2), (0.14, 0.16)],
                color,
            )
        )
    else:
        parts.append(
            swept(
                [(-0.08, 0, 0.83), (0.1, 0, 0.9), (0.28, 0, 0.88), (0.36, 0, 0.82)],
                [(0.05, 0.1), (0.1, 0.16), (0.11, 0.16), (0.06, 0.1)],
                color,
            )
        )
        parts.append(box((0.5, 0.34, 0.36), (0.08, 0, 0.46), UNDERSIDE, bevel=0.08))
        parts.append(
            _bar(
                (0.3, -0.16, 0.3),
                (-0.2, -0.17, 0.28),
                (rear[0] - 0.15, -0.19, 0.42),
                radius=0.045,
                material=CHROME,
                sides=7,
            )
        )
        parts.append(_bar((0, 0.06, 0.4), rear + (0, 0.08, 0), radius=0.03, material=_STEEL))
        if rng.random() < 0.5:  # a fairing with its screen
            parts.append(
                swept(
                    [head + (0.2, 0, -0.12), head + (0.1, 0, 0.02), head + (-0.1, 0, 0.1)],
                    [(0.08, 0.1), (0.16, 0.18), (0.14, 0.2)],
                    color,
                )
            )
        if rng.random() < 0.35:
            parts.append(box((0.4, 0.45, 0.32), (rear[0] - 0.12, 0, 1.0), TRIM, bevel=0.05))
    parts.append(
        swept(
            [front + (-0.3, 0, 0.13), front + (0, 0, radius + 0.05), front + (0.22, 0, 0.22)], [(0.02, 0.06)] * 3, color
        )
    )
    for y, lamp in ((0.16, LEFT_INDICATOR), (-0.16, RIGHT_INDICATOR)):
        parts += [
            box((0.05, 0.05, 0.05), (x, y, z), lamp) for x, z in ((rear[0] - 0.1, 0.74), (head[0] + 0.08, head[2]))
        ]
    wheel = _spoked_wheel(radius, 0.13, 5)
    disc = turned(np.array([(0.55 * radius, -0.02), (0.55 * radius, 0.02), (0.0, 0.02)]), _STEEL, 12)
    wheels = {
        Wheel(float(rear[0]), 0.0, radius): joined([wheel, disc]),
        Wheel(float(front[0]), 0.0, radius, True): joined([wheel, disc]),
    }
    return joined(parts), wheels, (base + 2 * radius, 0.78, float(handle[2] + 0.2))


def bicycle(rng: np.random.Generator) -> Vehicle:
    """A parked bicycle."""
    body, wheels, size = _bicycle_parts(rng)
    return vehicle(size, BICYCLE, body, wheels)


def motorcycle(rng: np.random.Generator) -> Vehicle:
    """A parked motorcycle or scooter."""
    body, wheels, size = _motorcycle_parts(rng, scooter=rng.random() < 0.4)
    return vehicle(size, MOTORCYCLE, body, wheels)


@dataclass(frozen=True)
class Rider:
    """Somebody on a bicycle or a motorcycle; both are stuff in KITTI-STEP.

    Attributes:
        cycle: what is ridden.
        body: who rides.
        seat: x and z of the hips, metres on the cycle.
        posture: BONESx3 turns, without the pedalling.
        pedals: whether the legs turn a crank.
    """

    cycle: Vehicle
    body: Figure
    seat: tuple[float, float]
    posture: np.ndarray
    pedals: bool

    @property
    def length(self) -> float:
        """Metres."""
        return self.cycle.length

    @property
    def width(self) -> float:
        """Metres."""
        return self.cycle.width

    @property
    def height(self) -> float:
        """Metres to the top of the head."""
        head = self.body.height - self.body.joints[PELVIS, 2]
        return float(self.seat[1] + head * np.cos(self.posture[CHEST, 1]))

    @property
    def class_id(self) -> int:
        """The cycle's."""
        return self.cycle.class_id

    def pieces(
        self,
        transform: np.ndarray,
        track_id: int,
        travelled: float = 0.0,
        braking: bool = False,
        indicator: int = 0,
        steering: float = 0.0,
    ) -> list[Piece]:
        """Cycle and rider, as `Vehicle.pieces`; both are stuff, so their track id is 0."""
        turns = self.posture.copy()
        if self.pedals:
            turns += self._pedalling(travelled)
        hips = self.body.joints[PELVIS]
        place = transform @ pose(self.seat[0] - hips[0], 0, self.seat[1] - hips[2])
        rider = self.body.rig.posed(place @ self.body.bone_transforms(turns))
        return [*self.cycle.pieces(transform, track_id, travelled, braking, indicator, steering), Piece(rider, RIDER)]

    def _pedalling(self, travelled: float) -> np.ndarray:
        """Turns of the legs that keep the feet on the pedals: one turn of the crank every 4.5 m."""
        turns = np.zeros((BONES, 3))
        thigh = self.body.joints[THIGH, 2] - self.body.joints[SHIN, 2]
        shin = self.body.joints[SHIN, 2] - 0.03 * self.body.height
        for leg, shift in ((0, 0.0), (RIGHT_LEG, np.pi)):
            angle = -2 * np.pi * travelled / 4.5 + shift
            below = min(0.74, 0.97 * (thigh + shin) - _CRANK)  # short legs have the pedals nearer
            pedal = np.array([0.2 + _CRANK * np.cos(angle), -below + _CRANK * np.sin(angle)])
            hip, knee = _reach(pedal, thigh, shin)
            turns[THIGH + leg, 1], turns[SHIN + leg, 1], turns[FOOT + leg, 1] = hip, -knee, knee - hip - 0.15
        return turns


def _reach(target: np.ndarray, upper: float, lower: float) -> tuple[float, float]:
    """Forward swing at the hip and bend of the knee that bring a leg's end to ``target`` (x, z from the hip)."""
    distance = min(float(np.hypot(*target)), 0.999 * (upper + lower))
    towards = np.arctan2(target[0], -target[1])
    at_hip = np.arccos(np.clip((upper**2 + distance**2 - lower**2) / (2 * upper * distance), -1, 1))
    at_knee = np.arccos(np.clip((upper**2 + lower**2 - distance**2) / (2 * upper * lower), -1, 1))
    return towards + at_hip, np.pi - at_knee


def rider(rng: np.random.Generator, kind: str | None = None) -> Rider:
    """A cyclist, or somebody on a motorcycle or scooter; ``kind``: "bicycle" or "motorcycle"."""
    kind = kind or ("bicycle" if rng.random() < 0.75 else "motorcycle")
    turns = np.zeros((BONES, 3))
    if kind == "bicycle":
        cycle = bicycle(rng)
        outfit = dressed(rng, helmet=rng.random() < 0.4, riding=True)
        radius = cycle.wheels[0].radius
        hips = (cycle.wheels[0].x + 0.2, radius + 0.68)
        lean, reach = -float(rng.uniform(0.2, 0.55)), 0.62
    else:
        cycle = motorcycle(rng)
        outfit = replace(dressed(rng, helmet=True, riding=True), bag="", sleeves="long")
        hips = (-0.25, 0.88)
        lean, reach = -float(rng.uniform(0.05, 0.4)), 0.55
        for leg, side in ((0, 1), (RIGHT_LEG, -1)):
            turns[THIGH + leg] = 0, 1.25, 0.22 * side
            turns[SHIN + leg, 1], turns[FOOT + leg, 1] = -1.45, 0.2
    body = figure(outfit)
    turns[CHEST, 1], turns[HEAD, 1] = lean, -0.8 * lean
    # Hands on the bar: the arms' triangle in the plane of the shoulder, leant forward with the chest.
    shoulder = body.joints[ARM] - body.joints[CHEST]
    forward = np.sin(-lean) * shoulder[2]
    raised_by = np.cos(lean) * shoulder[2] + body.joints[CHEST, 2] - body.joints[PELVIS, 2] + hips[1]
    upper = body.joints[ARM, 2] - body.joints[FOREARM, 2]
    target = np.array([reach - forward, cycle.height - (0.05 if kind == "bicycle" else 0.2) - raised_by])
    swing, bend = _reach(target, upper, 0.82 * upper)
    for arm, side in ((0, 1), (RIGHT_ARM, -1)):
        turns[ARM + arm] = 0, swing - bend - lean, 0.18 * side
        turns[FOREARM + arm, 1] = bend
    return Rider(cycle, body, hips, turns, kind == "bicycle")
