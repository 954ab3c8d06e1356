"""The painted skins of a passenger car.

The profile skin runs along the side view's outline (tail, rear window, roof, windscreen, bonnet, nose) from the left
edge to the right one; the side skins fill the outline, with the wheel arches cut out.
"""

from dataclasses import dataclass

import numpy as np

from mapt_ros.synthetic.mesh import Material, Mesh, joined
from mapt_ros.synthetic.solids import Target, mirrored, surface, welded

_LATERAL = np.array([-1.0, -0.66, 0.0, 0.66, 1.0])  # across the profile skin
_EDGE = np.array([1.0, 0.3, 0.0])  # rows of the side skin that round its upper edge off, in edge radii
_ROUNDING = 0.1  # metres, radius of the edges along roof and bonnet
_CROWN = 0.04  # metres that roof, screens and ends bulge in the middle


@dataclass(frozen=True)
class Shape:
    """A body's measures in metres; x from the middle, z from the ground.

    ``outline`` runs over the car from the rearmost to the foremost point; ``window`` and ``screen`` number the outline
    points at the lower and the upper end of the rear window and of the windscreen.
    """

    outline: tuple[tuple[float, float], ...]
    window: tuple[int, int]
    screen: tuple[int, int]
    width: float
    belt: float  # height of the lower edge of the side windows
    sill: float
    axles: tuple[float, float]
    wheel: float  # radius
    pillars: tuple[float, ...]  # middles of the pillars between the side windows
    tumblehome: float = 0.27  # lean of the windows inwards, metres a metre
    ledge: float = 0.0  # how far the rear bumper stands out

    @property
    def boot(self) -> bool:
        """Whether there is a boot lid behind the rear window."""
        return self.window[0] > 2


def _rounded(points: np.ndarray, cut: float = 0.07, share: float = 0.4) -> np.ndarray:
    """A polyline with each inner corner replaced by two points, at most ``cut`` metres off it."""
    out = [points[0]]
    for before, corner, after in zip(points[:-2], points[1:-1], points[2:], strict=True):
        for end in (before, after):
            span = np.linalg.norm(end - corner)
            out.append(corner + (end - corner) * min(cut, share * span) / span)
    return np.array([*out, points[-1]])


class Body:
    """The skins of one car as functions of place, and what is laid on them."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        outline = np.array(shape.outline)
        edge, lid = outline[1], outline[2]
        step = (min(edge[0] + shape.ledge, lid[0] - 0.012), edge[1] + 0.02)
        upper = _rounded(np.insert(outline, 2, step, axis=0))
        tail, nose = upper[0], upper[-1]
        s = shape.sill
        self._lower = np.array(
            [
                tail,
                tail + (0.05, -0.19),
                (tail[0] + 0.22, s + 0.03),
                (nose[0] - 0.3, s + 0.02),
                nose - (0.05, 0.17),
                nose,
            ]
        )
        arch = 1.14 * shape.wheel
        turns = arch * np.cos(np.linspace(0.12, np.pi - 0.12, 6))
        # The arches end steeply: with one column inside and one outside of each.
        ends = [axle + reach for axle in shape.axles for reach in (turns[[0, -1]], 1.001 * arch * np.array([-1, 1]))]
        columns = [upper[:, 0], self._lower[:, 0], *ends, shape.axles[0] + turns, shape.axles[1] + turns]
        columns += [tail[0] + np.array([0.06, 0.14, 0.28]), nose[0] - np.array([0.05, 0.14, 0.3])]
        self.columns = np.unique(np.round(np.concatenate(columns), 4))
        wide = np.diff(self.columns, prepend=-9) > 0.055
        self.columns = self.columns[wide | np.isin(self.columns, np.round(np.concatenate([upper[:, 0], *ends]), 4))]
        self._outline = upper
        self._arch = arch
        self.upper = np.stack([self.columns, self.top(self.columns)], axis=1)

    def top(self, x):
        """Height of the outline over x."""
        return np.interp(x, self._outline[:, 0], self._outline[:, 1])

    def bottom(self, x, arches: bool = True):
        """Height of the side's lower edge, with or without the wheel arches."""
        low = np.interp(x, self._lower[:, 0], self._lower[:, 1])
        for axle in self.shape.axles if arches else ():
            rise = np.sqrt(np.maximum(self._arch**2 - (x - axle) ** 2, 0))
            low = np.where(np.abs(x - axle) < self._arch, np.maximum(low, 0.98 * self.shape.wheel + rise), low)
        return low

    def half_width(self, x, z):
        """Half the body's width at x and height z: bulged below the belt, leaning inwards above, round at the ends."""
        shape = self.shape
        peak = int(np.argmax(self._outline[:, 1]))
        rear = np.interp(z, self._outline[: peak + 1, 1], self._outline[: peak + 1, 0])
        front = np.interp(-z, -self._outline[peak:, 1], self._outline[peak:, 0])
        # Below the widest point of an end, the bumper's underside takes over.
        rear = np.where(z < self._outline[0, 1], np.interp(z, self._lower[2::-1, 1], self._lower[2::-1, 0]), rear)
        front = np.where(z < self._outline[-1, 1], np.interp(z, self._lower[3:, 1], self._lower[3:, 0]), front)
        over = np.maximum(z - shape.belt, 0)
        bulge = 0.05 * ((z - 0.62) / 0.45) ** 2
        width = 0.5 * shape.width - np.where(z < shape.belt, bulge, 0.05 * ((shape.belt - 0.62) / 0.45) ** 2)
        width = width - shape.tumblehome * over - 0.1 * over**2
        behind = np.clip(1 - (x - rear) / 0.42, 0, 1)
        ahead = np.clip(1 - (front - x) / np.where(over > 0, 0.6, 0.85), 0, 1)
        # Just over the belt the glasshouse is as wide as the shoulders that it stands on.
        cabin = np.clip(over / 0.3, 0, 1)
        tail = np.where(over > 0, 0.08 * cabin if shape.boot else 0.1 - 0.02 * cabin, 0.1)
        width = width - tail * behind**3 - np.where(over > 0, 0.1 * cabin, 0.18) * ahead**2.6
        depth = np.clip((self.top(x) - z) / _ROUNDING, 0, 1)
        return width - _ROUNDING * (1 - np.sqrt(1 - (1 - depth) ** 2))

    def side(self, material: Material, trim: Material) -> Mesh:
        """The left side with its wheel arches; its lowest row is ``trim``."""
        x = self.columns
        low, top = self.bottom(x), self.top(x)
        levels = [self.shape.sill + 0.12, 0.6, self.shape.belt]
        rows = [low]
        for level in levels:
            rows.append(np.maximum(np.minimum(level, top - _ROUNDING), low))
        for share in _EDGE:
            rows.append(np.maximum(top - share * _ROUNDING, low))
        z = np.stack(rows)
        grid = np.stack([np.broadcast_to(x, z.shape), self.half_width(x, z), z], axis=-1)
        return joined([surface(grid[:2], trim, flip=True), surface(grid[1:], material, flip=True)])

    def skin(self, points: np.ndarray, across: np.ndarray, narrow: float | np.ndarray = 1.0) -> np.ndarray:
        """Places on the profile skin: Kx2 outline points by V shares of the half width, as a KxVx3 grid."""
        along = np.gradient(points, axis=0)
        normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        half = self.half_width(points[:, 0], points[:, 1])
        crown = _CROWN * (1 - (across * np.reshape(narrow, (-1, 1))) ** 2)[..., None]
        middle = points[:, None] + normal[:, None] * crown
        y = half[:, None] * across * np.reshape(narrow, (-1, 1))
        return np.stack([middle[..., 0], y, middle[..., 1]], axis=-1)

    def profile(self, material: Material) -> Mesh:
        """The skin over tail, roof, bonnet and nose, down to the undersides of the bumpers."""
        x = self.columns
        behind = x[(x > self._lower[0, 0]) & (x <= self._lower[2, 0])][::-1]
        ahead = x[(x < self._lower[-1, 0]) & (x >= self._lower[3, 0])][::-1]
        loop = [np.stack([part, self.bottom(part, arches=False)], axis=1) for part in (behind, ahead)]
        return surface(self.skin(np.concatenate([loop[0], self.upper, loop[1]]), _LATERAL), material, flip=True)

    def pane(self, lower: int, upper: int, inset: tuple[float, float, float]) -> np.ndarray:
        """A window on the profile skin between two outline points; insets below, above and at the sides in metres."""
        a, b = (np.array(self.shape.outline[i]) for i in (lower, upper))
        span = np.linalg.norm(b - a)
        share = np.linspace(inset[0] / span, 1 - inset[1] / span, 4)[:, None]
        points = a + share * (b - a)
        points = points if a[0] < b[0] else points[::-1]
        return self.skin(points, _LATERAL, 1 - inset[2] / self.half_width(points[:, 0], points[:, 1]))

    def painted(self, color: Material, trim: Material) -> Mesh:
        """Both sides and the profile, smooth where they are round; the lowest row of the sides is ``trim``."""
        side = self.side(color, trim)
        return welded(joined([side, mirrored(side), self.profile(color)]))


class Fitting:
    """Where things are laid on a painted body: grids on its left side, its tail or its nose."""

    def __init__(self, skins: Mesh) -> None:
        self._target = Target(skins)

    def side(self, x: np.ndarray, z: np.ndarray, by: float = 0.008) -> np.ndarray:
        """A grid on the left side over broadcast x and z (RxC)."""
        x, z = np.broadcast_arrays(x, z)
        return self._target.onto(np.stack([x, np.full(x.shape, 3.0), z], -1), np.array([0.0, -1.0, 0.0]), -by)

    def end(self, rear: bool, y: np.ndarray, z: np.ndarray, by: float = 0.008) -> np.ndarray:
        """A ZxY grid on the tail or the nose."""
        y, z = np.meshgrid(y, z)
        away = 9.0 * (-1 if rear else 1)
        return self._target.onto(np.stack([np.full(y.shape, away), y, z], -1), np.array([-away, 0.0, 0.0]), -by)

    def corner(self, rear: bool, inward: float, around: float, z: np.ndarray, half: float, by: float = 0.01):
        """A grid around the left rear or front corner over heights ``z``: ``inward`` metres of the end, ``around``
        metres of the side; ``half`` is half the body's width."""
        middle = self.end(rear, np.zeros(1), z, 0.0)[:, 0, 0]
        sign = 1.0 if rear else -1.0
        x = np.concatenate([np.full(3, 0.03), around * np.array([0.3, 0.65, 1.0])])
        y = half - np.concatenate([inward * np.array([1.0, 0.55, 0.15]), np.zeros(3)])
        places = np.stack(np.broadcast_arrays(middle[:, None] + sign * x, y, z[:, None]), -1)
        pivot = np.stack([middle + sign * 0.6, np.full(len(z), half - 0.6), z], -1)[:, None]
        return self._target.onto(pivot, places - pivot, by)[:, :: 1 if rear else -1]
