"""What closes the view beyond the streets: groves, houses behind houses, distant woods and the horizon."""

import numpy as np

from mapt_ros.synthetic.buildings import BUILDING, Plan, building
from mapt_ros.synthetic.greenery import VEGETATION, foliage, leaves
from mapt_ros.synthetic.ground import hill_height
from mapt_ros.synthetic.layout import Stretch
from mapt_ros.synthetic.lots import GRADE, Site
from mapt_ros.synthetic.mesh import Material, Texture, pose
from mapt_ros.synthetic.shapes import quads, triangles

_HOUSES = {"urban": 26, "suburb": 26, "avenue": 16, "industrial": 12, "country": 5}
_TREES = {"urban": 40, "suburb": 80, "avenue": 80, "industrial": 70, "country": 120}


def behind(site: Site) -> None:
    """Houses and trees of the second row, in the land between and behind the streets."""
    rng, style = site.rng, site.layout.town.style
    low, high = _extent(site, 60.0)
    points = rng.uniform(low, high, (3000, 2))
    clear = site.layout.clearance(points)
    points = points[(clear > 14) & (clear < 60)]
    built = 0
    for point in points[: len(points) // 2]:
        if built >= _HOUSES[style]:
            break
        width, depth = float(rng.uniform(10, 22)), float(rng.uniform(9, 13))
        base = pose(*point.tolist(), 0.0, float(rng.uniform(0, 2 * np.pi))) @ pose(-width / 2, -depth / 2)
        if site.free(base, width, depth, clear=12.0):
            floors = int(rng.integers(2, 6) if style in ("urban", "avenue") else rng.integers(1, 4))
            plan = Plan(
                width, depth, floors, str(rng.choice(["ridge", "hip", "flat"])), exposed=(True,) * 3, rich=False
            )
            site.parts.add(BUILDING, building(plan, rng), transform=base)
            site.take(base, width, depth)
            built += 1
    points = points[len(points) // 2 :]
    points = points[site.bare(points, 2.5)][: _TREES[style]]
    for x, y in points.tolist():
        site.nursery.tree(site.parts, (x, y, GRADE), 0.13, float(rng.uniform(0.8, 1.35)))


def close_ends(site: Site) -> None:
    """Something across the end of every side road, so that it does not run out into nothing."""
    for stretch in site.layout.stretches[1:]:
        for end, way in ((stretch.end, 1), (stretch.start, -1)):
            if 0.5 < end < stretch.road.length - 0.5:
                continue  # it ends at the main road
            _close(site, stretch, end, way)


def _close(site: Site, stretch: Stretch, end: float, way: int) -> None:
    rng = site.rng
    x, y, yaw = (float(v) for v in stretch.road.at(end))
    out = pose(x, y, 0.0, yaw if way > 0 else yaw + np.pi)
    width, depth = float(rng.uniform(14, 22)), 10.0
    front = out @ pose(5.0, 0.0, 0.0, -np.pi / 2) @ pose(-width / 2, 0.0)
    style = site.layout.town.style
    if style != "country" and rng.random() < 0.75 and site.free(front, width, depth, clear=1.0):
        plan = Plan(width, depth, int(rng.integers(2, 5)), str(rng.choice(["ridge", "flat", "hip"])), rich=False)
        site.parts.add(BUILDING, building(plan, rng), transform=front)
        site.take(front, width, depth)
        return
    for place in rng.uniform((4.0, -14.0), (24.0, 14.0), (16, 2)):
        point = (out @ pose(*place.tolist()))[:2, 3]
        if site.layout.clearance(point[None])[0] > 2.5 and site.bare(point[None], 1.0)[0]:
            site.nursery.tree(site.parts, (*point.tolist(), GRADE), 0.13, float(rng.uniform(0.9, 1.3)))


def horizon(site: Site) -> None:
    """A ring of woods around everything, in two rows with ragged tops."""
    rng = site.rng
    for away, tall, size in ((95.0, 9.0, 2.6), (145.0, 15.0, 4.0)):
        low, high = _extent(site, away)
        corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
        line = np.concatenate(
            [
                a + (b - a) * np.arange(0, 1, size / np.linalg.norm(b - a))[:, None]
                for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
            ]
        )
        center = 0.5 * (low + high)
        # Round the ring's corners and let it wander.
        phase = np.linspace(0, 2 * np.pi, len(line))
        wander = 1 + 0.03 * np.sin(7 * phase + rng.uniform(0, 6)) + 0.02 * np.sin(17 * phase + rng.uniform(0, 6))
        line = center + (line - center) * wander[:, None]
        keep = site.layout.clearance(line) > 45
        line = line[keep]
        top = tall * (
            0.75
            + 0.3 * np.sin(11 * phase[keep] + rng.uniform(0, 6)) * rng.uniform(0.2, 1)
            + rng.normal(0, 0.1, len(line))
        )
        top = np.maximum(top, 0.4 * tall)
        green = leaves(rng)
        dark = Material(tuple(0.5 * c for c in green.color), Texture.GRASS, 2.5, seed=3)
        grade = hill_height(site.layout.clearance(line))[:, None]
        blobs = np.concatenate([line, grade + 0.55 * top[:, None]], axis=1)
        radii = np.stack([np.full(len(line), size), np.full(len(line), size), 0.5 * top], axis=1)
        site.parts.add(VEGETATION, triangles(foliage(blobs, radii, 6 * len(line), 0.55 * size, rng), green))
        near = np.linalg.norm(np.roll(line, -1, axis=0) - line, axis=1) < 3 * size
        bottom = np.concatenate([line, np.full((len(line), 1), -2.0)], axis=1)
        upper = np.concatenate([line, grade + 0.75 * top[:, None]], axis=1)
        wall = np.stack([bottom, np.roll(bottom, -1, axis=0), np.roll(upper, -1, axis=0), upper], axis=1)[near]
        site.parts.add(VEGETATION, quads(wall[:, ::-1], dark))


def _extent(site: Site, margin: float) -> tuple[np.ndarray, np.ndarray]:
    places = np.concatenate([np.stack(stretch.samples[1:3], axis=1) for stretch in site.layout.stretches])
    return places.min(axis=0) - margin, places.max(axis=0) + margin
