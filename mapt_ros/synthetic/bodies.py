"""Cars, people, trees and poles as simple solid bodies that draw themselves through a pinhole camera."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mapt_ros.synthetic.canvas import Canvas, Pinhole

Color = tuple[int, int, int]

PAINTS: tuple[Color, ...] = (
    (28, 30, 36),
    (235, 236, 238),
    (176, 180, 186),
    (172, 24, 30),
    (24, 62, 148),
    (20, 96, 120),
    (226, 178, 32),
    (92, 24, 40),
    (84, 92, 104),
    (206, 92, 24),
)
SHIRTS: tuple[Color, ...] = (
    (208, 40, 52),
    (38, 82, 190),
    (238, 206, 60),
    (240, 240, 240),
    (36, 36, 44),
    (234, 118, 38),
    (128, 52, 150),
    (40, 160, 160),
    (226, 120, 160),
)
TROUSERS: tuple[Color, ...] = ((34, 38, 56), (50, 70, 118), (22, 22, 24), (118, 100, 76), (74, 76, 82))
SKINS: tuple[Color, ...] = ((238, 196, 164), (206, 156, 118), (150, 102, 72), (98, 66, 48))
HAIRS: tuple[Color, ...] = ((30, 24, 20), (88, 58, 34), (190, 156, 92), (140, 140, 140))

_GLASS: Color = (44, 58, 74)
_TYRE: Color = (20, 20, 22)
_RIM: Color = (150, 152, 156)
_TRIM: Color = (34, 34, 38)
_TAIL_LIGHT: Color = (214, 22, 24)
_HEAD_LIGHT: Color = (255, 246, 206)
_PLATE: Color = (238, 238, 224)
_INSIDE = {_GLASS, _RIM, _TAIL_LIGHT, _HEAD_LIGHT, _PLATE}  # always within a part that already owns the pixels


def shade(color: Color, factor: float) -> Color:
    """The colour times ``factor``, kept within 0-255."""
    return tuple(int(min(255.0, c * factor)) for c in color)


@dataclass(frozen=True)
class CarShape:
    """Length and height in metres; the side's outline as (along, height) fractions, from rear bottom to front bottom.

    ``rear_window`` and ``windscreen`` number the outline's edges that are glass.
    """

    length: float
    height: float
    outline: tuple[tuple[float, float], ...]
    rear_window: int
    windscreen: int


SEDAN = CarShape(
    4.4,
    1.45,
    (
        (-0.5, 0.2),
        (-0.5, 0.6),
        (-0.37, 0.66),
        (-0.24, 0.98),
        (0.08, 1),
        (0.24, 0.66),
        (0.47, 0.56),
        (0.5, 0.46),
        (0.5, 0.2),
    ),
    2,
    4,
)
HATCHBACK = CarShape(
    3.9,
    1.5,
    ((-0.5, 0.2), (-0.5, 0.58), (-0.42, 0.97), (0.06, 1), (0.25, 0.64), (0.46, 0.55), (0.5, 0.45), (0.5, 0.2)),
    1,
    3,
)
VAN = CarShape(
    4.6,
    1.85,
    ((-0.5, 0.17), (-0.5, 0.56), (-0.48, 0.98), (0.2, 1), (0.33, 0.6), (0.46, 0.53), (0.5, 0.43), (0.5, 0.17)),
    1,
    3,
)
CAR_SHAPES = (SEDAN, HATCHBACK, VAN)


class Car:
    """A car as an extruded side outline with windows, wheels, lights and plates; seen rightly from every side."""

    WIDTH = 1.76  # metres
    radius = 1.15  # metres; two such circles, a quarter length before and behind the centre, cover the footprint

    def __init__(self, shape: CarShape, paint: Color) -> None:
        self.shape, self.paint = shape, paint
        self._corners: list[np.ndarray] = []  # per polygon: Nx3 along, height, to the right (metres)
        self._colors: list[Color] = []
        self._faces: list[list[int]] = []  # per face: its polygon first, then what is painted on it
        self._build()
        ends = np.cumsum([len(c) for c in self._corners])
        self._parts = [slice(int(end) - len(c), int(end)) for end, c in zip(ends, self._corners, strict=True)]
        self._stacked = np.concatenate(self._corners)
        self._centers = np.stack([self._corners[f[0]].mean(axis=0) for f in self._faces])
        normals = []
        for face in self._faces:
            corners = self._corners[face[0]]
            normal = np.cross(corners[1] - corners[0], corners[-1] - corners[0])
            outward = corners.mean(axis=0) - (0, 0.5 * shape.height, 0)
            normals.append(normal if normal @ outward > 0 else -normal)
        self._normals = np.stack(normals)

    @property
    def length(self) -> float:
        return self.shape.length

    def _point(self, along: float, height: float, side: float) -> tuple[float, float, float]:
        # The cabin narrows towards the roof.
        narrowing = 1 - 0.22 * max(0.0, height - 0.62) / 0.38
        return along * self.shape.length, height * self.shape.height, 0.5 * side * self.WIDTH * narrowing

    def _add(self, points, color: Color) -> int:
        self._corners.append(np.array(points, np.float64))
        self._colors.append(color)
        return len(self._corners) - 1

    def _build(self) -> None:
        shape, paint, point = self.shape, self.paint, self._point
        outline = shape.outline
        last = len(outline) - 2
        for edge, ((a0, h0), (a1, h1)) in enumerate(pairwise(outline)):
            brightness = 0.78 if edge in (0, last) else 1.15
            quad = [point(a0, h0, -1), point(a1, h1, -1), point(a1, h1, 1), point(a0, h0, 1)]
            face = [self._add(quad, shade(paint, brightness))]
            if edge in (shape.rear_window, shape.windscreen):
                near = (a0 + 0.12 * (a1 - a0), h0 + 0.12 * (h1 - h0))
                far = (a0 + 0.86 * (a1 - a0), h0 + 0.86 * (h1 - h0))
                face.append(
                    self._add([point(*near, -0.88), point(*far, -0.88), point(*far, 0.88), point(*near, 0.88)], _GLASS)
                )
            if edge in (0, last):
                face += self._end_details(a0, rear=edge == 0)
            self._faces.append(face)
        for side in (-1, 1):
            self._faces.append(self._side(side))

    def _end_details(self, along: float, *, rear: bool) -> list[int]:
        def rectangle(s0: float, s1: float, h0: float, h1: float, color: Color) -> int:
            corners = [(s0, h0), (s1, h0), (s1, h1), (s0, h1)]
            return self._add([self._point(along, h, s) for s, h in corners], color)

        low, high = (0.44, 0.57) if rear else (0.33, 0.45)
        light = _TAIL_LIGHT if rear else _HEAD_LIGHT
        return [
            rectangle(-0.95, -0.6, 0, 0.22, _TYRE),
            rectangle(0.6, 0.95, 0, 0.22, _TYRE),
            rectangle(-1, 1, 0.18, 0.27, _TRIM),
            rectangle(-0.96, -0.6, low, high, light),
            rectangle(0.6, 0.96, low, high, light),
            rectangle(-0.28, 0.28, 0.29, 0.37, _PLATE),
        ]

    def _side(self, side: int) -> list[int]:
        shape, point = self.shape, self._point
        outline = shape.outline
        face = [self._add([point(a, h, side) for a, h in outline], shade(self.paint, 0.95))]

        def detail(points, color: Color) -> None:
            face.append(self._add([point(a, h, side) for a, h in points], color))

        (rear_base, rear_low), (rear_top, _) = outline[shape.rear_window], outline[shape.rear_window + 1]
        (front_top, _), (front_base, front_low) = outline[shape.windscreen], outline[shape.windscreen + 1]
        sill = max(rear_low, front_low) + 0.02
        pillar = 0.5 * (rear_top + front_top) - 0.03
        detail(
            [(rear_base + 0.06, sill), (rear_top + 0.03, 0.92), (pillar - 0.01, 0.93), (pillar - 0.01, sill)], _GLASS
        )
        detail([(pillar + 0.015, sill), (pillar + 0.015, 0.93), (front_top, 0.92), (front_base - 0.05, sill)], _GLASS)
        detail([(-0.5, 0.18), (0.5, 0.18), (0.5, 0.27), (-0.5, 0.27)], _TRIM)
        seam = shade(self.paint, 0.6)
        detail([(pillar, 0.27), (pillar + 0.008, 0.27), (pillar + 0.008, sill), (pillar, sill)], seam)
        detail([(-0.5, 0.46), (-0.44, 0.46), (-0.45, 0.57), (-0.5, 0.57)], _TAIL_LIGHT)
        detail([(0.44, 0.38), (0.5, 0.38), (0.49, 0.47), (0.45, 0.48)], _HEAD_LIGHT)
        turns = np.linspace(0, 2 * np.pi, 13)[:-1]
        for wheel in (-0.31, 0.31):
            for radius, color in ((0.33, _TYRE), (0.19, _RIM)):
                detail(
                    [
                        (wheel + radius * np.cos(t) / shape.length, (0.33 + radius * np.sin(t)) / shape.height)
                        for t in turns
                    ],
                    color,
                )
        return face

    def _to_world(self, local: np.ndarray, heading: tuple[float, float]) -> np.ndarray:
        hx, hz = heading
        along, height, right = local[:, 0], local[:, 1], local[:, 2]
        return np.stack([along * hx + right * hz, height, along * hz - right * hx], axis=1)

    def draw_shadow(self, canvas: Canvas, camera: Pinhole, x: float, z: float, heading, color: Color) -> None:
        """Darkens the ground under the car at (x, z) metres."""
        a, s = 0.52 * self.shape.length, 0.56 * self.WIDTH
        local = np.array([(-a, 0, -s), (a, 0, -s), (a, 0, s), (-a, 0, s)])
        canvas.polygon(camera.project(self._to_world(local, heading) + (x, 0, z)), color, None)

    def draw(self, canvas: Canvas, camera: Pinhole, x: float, z: float, heading, travelled: float, owner: int) -> None:
        """Draws the car centred at (x, z) metres, its nose along the unit vector ``heading``."""
        place = (x, 0.0, z)
        samples = canvas.to_samples(camera.project(self._to_world(self._stacked, heading) + place))
        to_face = self._to_world(self._centers, heading) + place - (0.0, camera.camera_height, 0.0)
        facing = (self._to_world(self._normals, heading) * to_face).sum(axis=1) < 0
        for index in np.argsort(-np.linalg.norm(to_face, axis=1), kind="stable"):
            if facing[index]:
                for polygon in self._faces[index]:
                    inside = self._colors[polygon] in _INSIDE
                    canvas.fill(samples[self._parts[polygon]], self._colors[polygon], None if inside else owner)


@dataclass(frozen=True)
class Person:
    """A walking person, flat and turned to the camera; ``height`` in metres."""

    height: float
    shirt: Color
    trousers: Color
    skin: Color
    hair: Color
    bag: Color | None = None

    radius = 0.35  # metres
    length = 0.0

    def draw_shadow(self, canvas: Canvas, camera: Pinhole, x: float, z: float, heading, color: Color) -> None:
        """Darkens the ground under the feet."""
        (center,) = camera.project(np.array([(x, 0.0, z)]))
        canvas.ellipse(center, (0.36 * camera.fx / z, 0.36 * camera.camera_height * camera.fy / z**2), color, None)

    def draw(self, canvas: Canvas, camera: Pinhole, x: float, z: float, heading, travelled: float, owner: int) -> None:
        """Draws the person at (x, z) metres, ``travelled`` metres into its walk, going along ``heading``."""
        unit = self.height / 1.75
        (foot,) = camera.project(np.array([(x, 0.0, z)]))
        scale = camera.fx / z * unit

        parts: list[tuple[list[tuple[float, float]], Color]] = []

        def polygon(points: list[tuple[float, float]], color: Color) -> None:
            parts.append((points, color))

        def limb(x0: float, y0: float, x1: float, y1: float, w0: float, w1: float, color: Color) -> None:
            polygon([(x0 - w0, y0), (x0 + w0, y0), (x1 + w1, y1), (x1 - w1, y1)], color)

        sideways = abs(heading[0])
        direction = 1 if heading[0] >= 0 else -1
        swing = np.sin(travelled / (0.72 * unit) * np.pi)
        spread = 0.07 * (1 - sideways)  # a person seen from the front stands on two feet side by side
        shoulder = 0.15 + 0.07 * (1 - sideways)
        for leg in (-1, 1):
            foot_x = leg * spread + leg * swing * 0.30 * sideways * direction
            lift = max(0.0, -leg * swing) * 0.10
            tone = shade(self.trousers, 0.72 if leg < 0 else 1.0)
            knee_x = leg * spread + 0.5 * (foot_x - leg * spread) + 0.04 * sideways * direction
            limb(leg * spread, 0.88, knee_x, 0.46 + 0.5 * lift, 0.10, 0.08, tone)
            limb(knee_x, 0.50 + 0.5 * lift, foot_x, 0.06 + lift, 0.08, 0.06, tone)
            toe = 0.10 * sideways * direction
            limb(foot_x + toe / 2, 0.10 + lift, foot_x + toe, lift, 0.07, 0.10, (30, 26, 24))
        far_hand = swing * 0.26 * sideways * direction
        dark = shade(self.shirt, 0.7)
        limb(-shoulder * (1 - sideways), 1.42, far_hand - 0.26 * (1 - sideways), 0.88, 0.06, 0.045, dark)
        if self.bag is not None:
            back = -direction * 0.20 * sideways
            limb(back, 1.42, back, 1.02, 0.11, 0.12, self.bag)
        polygon(
            [
                (-shoulder, 1.46),
                (shoulder, 1.46),
                (shoulder + 0.02, 1.36),
                (0.14, 0.84),
                (-0.14, 0.84),
                (-shoulder - 0.02, 1.36),
            ],
            self.shirt,
        )
        limb(
            shoulder * (1 - sideways),
            1.42,
            -far_hand + 0.26 * (1 - sideways),
            0.88,
            0.06,
            0.045,
            shade(self.shirt, 0.85),
        )
        limb(0, 1.54, 0, 1.44, 0.055, 0.06, shade(self.skin, 0.85))
        samples = canvas.to_samples(foot + np.array([p for points, _ in parts for p in points]) * (scale, -scale))
        start = 0
        for points, color in parts:
            canvas.fill(samples[start : start + len(points)], color, owner)
            start += len(points)
        hand = foot + np.array([0.26 * (1 - sideways) - far_hand, 0.85]) * (scale, -scale)
        canvas.ellipse(hand, (0.05 * scale, 0.05 * scale), self.skin, owner)
        head = foot + np.array([0.02 * direction * sideways, 1.62]) * (scale, -scale)
        canvas.ellipse(head, (0.105 * scale, 0.135 * scale), self.hair, owner)
        if heading[1] < 0.5:  # not walking away: the face shows
            face = head + np.array([0.035 * direction * sideways, -0.03]) * (scale, -scale)
            canvas.ellipse(face, (0.08 * scale, 0.10 * scale), self.skin, owner)


@dataclass(frozen=True)
class Tree:
    """A tree: trunk and leaf blobs given as (right, up, radius, colour) in metres."""

    blobs: tuple[tuple[float, float, float, Color], ...]
    trunk: float

    def draw(self, canvas: Canvas, camera: Pinhole, x: float, z: float, owner: int) -> None:
        """Draws the tree standing at (x, z) metres."""
        (foot,) = camera.project(np.array([(x, 0.0, z)]))
        scale = camera.fx / z
        corners = np.array([(-0.16, 0), (0.16, 0), (0.12, self.trunk), (-0.12, self.trunk)])
        canvas.polygon(foot + corners * (scale, -scale), (78, 62, 44), owner)
        for right, up, radius, color in self.blobs:
            canvas.ellipse(
                foot + np.array((right, up)) * (scale, -scale), (radius * scale, radius * scale), color, owner
            )


@dataclass(frozen=True)
class Pole:
    """A lamp post of ``height`` metres with an arm of ``arm`` metres (its sign is the side it points to)."""

    height: float
    arm: float

    def draw(self, canvas: Canvas, camera: Pinhole, x: float, z: float, owner: int) -> None:
        """Draws the pole standing at (x, z) metres."""
        (foot,) = camera.project(np.array([(x, 0.0, z)]))
        scale = np.array([camera.fx, -camera.fy]) / z
        top, arm, half = self.height, self.arm, 0.09
        for corners, color in (
            ([(-half, 0), (half, 0), (0.8 * half, top), (-0.8 * half, top)], (158, 160, 164)),
            ([(half / 3, 0), (half, 0), (0.8 * half, top), (half / 3, top)], (118, 120, 124)),
            ([(0, top - 0.12), (arm, top), (arm, top + 0.12), (0, top)], (150, 152, 156)),
        ):
            canvas.polygon(foot + np.array(corners) * scale, color, owner)


def plant_tree(rng: np.random.Generator, height: float) -> Tree:
    """A random tree of about ``height`` metres."""
    trunk = 0.42 * height
    blobs = []
    for k in range(11):
        green = (int(rng.integers(34, 66)), int(rng.integers(92, 138)), int(rng.integers(28, 52)))
        angle, reach = rng.uniform(0, 2 * np.pi), 0.26 * height * (k > 2) * rng.uniform(0.5, 1)
        center = (reach * np.cos(angle), 0.68 * height + 0.8 * reach * np.sin(angle))
        blobs.append((*map(float, center), float(height * rng.uniform(0.13, 0.2)), shade(green, 1.2 - 0.04 * k)))
    return Tree(tuple(blobs), trunk)
