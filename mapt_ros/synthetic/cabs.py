"""Cabs of trucks: over the engine, or behind the short bonnet of a light truck; and how patches are laid on hulls."""

import numpy as np

from mapt_ros.synthetic.car_body import Fitting
from mapt_ros.synthetic.mesh import Material, Mesh, joined
from mapt_ros.synthetic.solids import both, box, hull, surface
from mapt_ros.synthetic.vehicle import GLASS, LAMP, LEFT_INDICATOR, RIGHT_INDICATOR, TRIM, UNDERSIDE, number_plate


def across(fitting: Fitting, rear: bool, y: tuple, z: tuple, material: Material, by: float = 0.012) -> Mesh:
    """A patch on the front or the rear, from ``y`` to ``y`` and from ``z`` to ``z``."""
    columns, rows = (max(2, int(np.ceil(abs(b - a) / 0.3)) + 1) for a, b in (y, z))
    return surface(fitting.end(rear, np.linspace(*y, columns), np.linspace(*z, rows), by), material, flip=rear)


def left_side(fitting: Fitting, x: tuple, z: tuple, material: Material, by: float = 0.012) -> Mesh:
    """A patch on the left side; a ``z`` of four has the heights at the rear end, then at the front end."""
    low, high = (np.linspace(z[i], z[-2 + i] if len(z) == 4 else z[i], 3) for i in (0, 1))
    along = np.linspace(*x, 3)
    return surface(fitting.side(along, low + np.linspace(0, 1, 3)[:, None] * (high - low), by), material, flip=True)


def cab_over(
    front: float, half: float, height: float, color: Material, rng: np.random.Generator
) -> tuple[list[Mesh], float]:
    """A cab over the engine whose nose is at ``front``; also returns where its back is."""
    long = float(rng.uniform(1.75, 2.2))
    low, high = 0.42, height
    tilt = rng.uniform(0.1, 0.28)
    back = front - long
    shell = hull(
        np.array(
            [
                (back, half, low + 0.3, high - 0.12, 0.1),
                (back + 0.25, half, low + 0.3, high, 0.12),
                (front - 0.5 - tilt, half, low, high, 0.14),
                (front - 0.16 - 0.6 * tilt, half - 0.03, low, high - 0.14, 0.16),
                (front - 0.1, half - 0.05, low, 1.9, 0.14),
                (front, half - 0.16, low + 0.04, 1.35, 0.12),
            ]
        ),
        color,
    )
    fitting = Fitting(shell)
    sill = 1.5 if height > 2.9 else 1.3
    top = min(sill + 1.0, high - 0.3)
    dark = TRIM if rng.random() < 0.6 else color
    parts = [
        shell,
        across(fitting, False, (-half + 0.16, half - 0.16), (sill, top), GLASS),
        across(fitting, False, (-half + 0.3, half - 0.3), (0.85, sill - 0.18), TRIM),
        across(fitting, False, (-half + 0.2, half - 0.2), (0.45, 0.75), dark, 0.02),
        both(across(fitting, False, (half - 0.5, half - 0.2), (0.56, 0.74), LAMP, 0.03)),
        both(left_side(fitting, (back + 0.5, front - 0.32 - tilt), (sill - 0.05, top, sill - 0.2, top - 0.02), GLASS)),
        both(left_side(fitting, (front - 1.52, front - 0.42), (low + 0.02, 1.02), UNDERSIDE)),
        number_plate(front + 0.035, 0.55, rear=False),
    ]
    if height > 2.9:  # a sun visor
        parts.append(box((0.25, 2 * half - 0.3, 0.05), (front - 0.1 - 0.6 * tilt, 0, top + 0.08), TRIM))
    mirror = [
        box((0.12, 0.16, 0.55), (front - 0.15, half + 0.17, top - 0.25), TRIM, bevel=0.03),
        box((0.06, 0.2, 0.04), (front - 0.18, half + 0.06, top - 0.05), TRIM),
    ]
    parts.append(both(joined(mirror)))
    for side, lamp in ((1, LEFT_INDICATOR), (-1, RIGHT_INDICATOR)):
        parts.append(box((0.2, 0.04, 0.1), (front - 0.2, side * (half - 0.01), 0.95), lamp))
    return parts, back


def bonneted(front: float, half: float, height: float, color: Material) -> tuple[list[Mesh], float]:
    """The cab of a light truck, with a short raked bonnet; also returns where its back is."""
    back = front - 2.35
    shell = hull(
        np.array(
            [
                (back, half - 0.05, 0.42, height - 0.06, 0.16),
                (back + 0.12, half, 0.36, height, 0.2),
                (front - 1.5, half, 0.36, height, 0.22),
                (front - 1.36, half, 0.36, height - 0.08, 0.2),
                (front - 0.75, half - 0.02, 0.36, 1.26, 0.1),
                (front - 0.22, half - 0.06, 0.36, 1.08, 0.1),
                (front - 0.06, half - 0.14, 0.36, 0.92, 0.1),
                (front, half - 0.24, 0.4, 0.76, 0.08),
            ]
        ),
        color,
    )
    fitting = Fitting(shell)
    top = height - 0.2
    parts = [
        shell,
        across(fitting, False, (-half + 0.16, half - 0.16), (1.34, top), GLASS),
        across(fitting, False, (-0.5, 0.5), (0.84, 0.98), TRIM),
        across(fitting, False, (-half + 0.28, half - 0.28), (0.42, 0.66), TRIM),
        both(across(fitting, False, (half - 0.45, half - 0.17), (0.78, 1.0), LAMP)),
        both(left_side(fitting, (front - 2.15, front - 1.05), (1.25, top, 1.2, 1.5), GLASS)),
        both(left_side(fitting, (front - 1.0, front - 0.2), (0.37, 0.78), UNDERSIDE)),
        both(box((0.1, 0.14, 0.3), (front - 1.0, half + 0.1, 1.42), TRIM, bevel=0.03)),
        both(left_side(fitting, (front - 1.98, front - 1.8), (1.02, 1.06), TRIM, 0.03)),
        number_plate(front + 0.02, 0.56, rear=False),
    ]
    for side, lamp in ((1, LEFT_INDICATOR), (-1, RIGHT_INDICATOR)):
        parts.append(box((0.1, 0.03, 0.08), (front - 0.3, side * (half - 0.06), 0.9), lamp))
    return parts, back
