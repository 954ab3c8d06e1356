"""What stands beside the kerb: lamps, trees in rows, signs, traffic lights, bollards, bus stops, bridges."""

import numpy as np

from mapt_ros.synthetic.buildings import BUILDING
from mapt_ros.synthetic.furniture import (
    FENCE,
    POLE,
    bridge,
    bus_shelter,
    delineator,
    lamp_post,
    posts,
)
from mapt_ros.synthetic.ground import open_stretches, stop_offset
from mapt_ros.synthetic.layout import KERB, Frontage
from mapt_ros.synthetic.lots import GRADE, Site, Street
from mapt_ros.synthetic.mesh import Material, pose
from mapt_ros.synthetic.road import Road
from mapt_ros.synthetic.signs import TRAFFIC_LIGHT, TRAFFIC_SIGN, sign, traffic_light

_NARROW = 1.9  # sidewalks below this width keep their posts behind them
_SIGNS = {
    "urban": ("no parking", "parking", "limit", "no entry", "way", "direction", "crossing", "warning"),
    "suburb": ("limit", "no parking", "warning", "parking", "priority", "way"),
    "avenue": ("direction", "limit", "no parking", "way", "direction", "priority", "warning"),
    "industrial": ("direction", "no parking", "limit", "warning", "way"),
    "country": ("warning", "limit", "direction", "priority"),
}


def post_offset(road: Road, side: int) -> float:
    """Metres from the centreline to where posts stand on a side: by the kerb, or behind a narrow sidewalk."""
    width = road.sidewalk[0 if side > 0 else 1]
    if width >= _NARROW:
        return road.half_width(side) + 0.42
    return road.frontage(side) + (0.25 if width > 0.4 else 0.8)


def _at(road: Road, along: float, lateral: float, yaw: float = 0.0, z: float = KERB) -> np.ndarray:
    x, y, direction = (float(v) for v in road.at(along, lateral))
    return pose(x, y, z, direction + yaw)


def lamps(site: Site, front: Frontage, kind: int, spacing: float, height: float) -> None:
    """Street lamps along a frontage."""
    road, side = front.road, front.side
    lamp = lamp_post(height, -side * (1.6 if kind == 0 else 0.0), kind)
    for along in np.arange(front.start + 9.0 + (0.5 * spacing if side < 0 else 0.0), front.end - 6.0, spacing):
        base = _at(road, along, side * post_offset(road, side))
        if _stands_free(site, base):
            site.parts.add(POLE, lamp, transform=base)


def _stands_free(site: Site, base: np.ndarray, margin: float = 0.3) -> bool:
    return bool(site.bare(base[None, :2, 3], margin)[0])


def tree_row(site: Site, front: Frontage, spacing: float, detail: float) -> None:
    """A row of trees of one kind by the kerb, or behind the sidewalk where that is narrow."""
    road, side, rng = front.road, front.side, site.rng
    narrow = road.sidewalk[0 if side > 0 else 1] < 2.5
    lateral = road.frontage(side) + 1.6 if narrow else road.half_width(side) + 0.48
    kind, size = int(rng.integers(8)), float(rng.uniform(0.75, 1.15))
    for along in np.arange(front.start + 8.0, front.end - 6.0, spacing):
        if rng.random() < 0.12:
            continue
        base = _at(road, along + rng.uniform(-0.6, 0.6), side * lateral)
        if _stands_free(site, base, 1.0):
            x, y = (float(v) for v in base[:2, 3])
            site.nursery.tree(site.parts, (x, y, GRADE if narrow else KERB), detail, size, kind, 3.2)


def put_sign(site: Site, road: Road, side: int, along: float, kinds: tuple[str, ...], facing: int) -> None:
    """A sign on a side of a road for traffic that drives in the direction ``facing`` (+1, -1) along it."""
    wide = "direction" in kinds
    lateral = post_offset(road, side) + (0.7 if wide else 0.0)
    base = _at(road, along, side * lateral, 0.0 if facing > 0 else np.pi)
    base = base @ pose(0, 0, yaw=float(site.rng.uniform(-0.12, 0.12)))
    if not _stands_free(site, base):
        return
    pole, sheet = sign(kinds, 3.1 if wide else float(site.rng.uniform(2.6, 2.8)), site.rng)
    site.parts.add(POLE, pole, transform=base)
    site.parts.add(TRAFFIC_SIGN, sheet, transform=base)


def signs(site: Site) -> None:
    """Signs along the main road and at its junctions."""
    layout, rng = site.layout, site.rng
    main, pool = layout.town.main, _SIGNS[layout.town.style]
    for start, end in open_stretches(layout):
        for side in (1, -1):
            for along in np.arange(max(start, 0.0) + rng.uniform(4, 18), end - 4.0, rng.uniform(18, 34)):
                kinds = [str(rng.choice(pool))]
                if rng.random() < 0.25 and kinds[0] != "direction":
                    kinds.append(str(rng.choice([k for k in pool if k != "direction"])))
                put_sign(site, main, side, float(along), tuple(kinds), -side)
    for junction in layout.town.junctions:
        for side in (1, -1):
            if not (junction.left if side > 0 else junction.right):
                continue
            if not junction.lights:
                along = layout.corner(junction, side, -1)[0] - layout.radius(junction.road, side) - 6.0
                put_sign(site, main, -1, along, ("priority",), 1)
            # Traffic from an arm has its right-hand kerb on the arm's left (left arm) or right (right arm).
            across = layout.corner(junction, side, side)[1] + side * (layout.radius(junction.road, side) + 1.0)
            put_sign(site, junction.road, side, across, ("give way",), -side)
            if rng.random() < 0.5:
                back = layout.corner(junction, side, 1)[1] + side * (layout.radius(junction.road, side) + 2.0)
                put_sign(site, junction.road, -side, back, (str(rng.choice(["limit", "no entry", "parking"])),), side)


def traffic_lights(site: Site) -> None:
    """Traffic lights for all ways into the junctions that have them."""
    layout, rng = site.layout, site.rng
    main = layout.town.main
    for junction in layout.town.junctions:
        if not junction.lights:
            continue
        ours = str(rng.choice(["red", "green"], p=[0.5, 0.5]))
        theirs = "red" if ours == "green" else "green"
        before = max((end for _, end in open_stretches(layout) if end < junction.along), default=None)
        after = min((start for start, _ in open_stretches(layout) if start > junction.along), default=None)
        hanging = rng.random() < (0.7 if main.lanes > 1 else 0.3)
        for place, sign_, facing in ((before, -1, 1), (after, 1, -1)):
            if place is None:
                continue
            side = -facing
            lateral = main.half_width(side) + 0.45
            arm = min(5.5, lateral - 0.5 * main.lane_width) if hanging else 0.0
            base = _at(main, place + sign_ * (stop_offset() - 0.4), side * lateral, 0.0 if facing > 0 else np.pi)
            _light(site, base, ours, arm)
            if rng.random() < 0.6:  # one more beyond the crossing, on the other side
                far = after if facing > 0 else before
                if far is not None:
                    base = _at(main, far, -side * (main.half_width(-side) + 0.45), 0.0 if facing > 0 else np.pi)
                    _light(site, base, ours, 0.0)
        for side in (1, -1):
            if not (junction.left if side > 0 else junction.right):
                continue
            road = junction.road
            across = layout.corner(junction, side, side)[1] + side * (layout.radius(road, side) + 1.6)
            base = _at(road, across, side * (road.half_width(side) + 0.45), np.pi if side > 0 else 0.0)
            _light(site, base, theirs, 0.0)


def _light(site: Site, base: np.ndarray, lit: str, arm: float) -> None:
    pole, lights = traffic_light(lit, arm, site.rng)
    site.parts.add(POLE, pole, transform=base)
    site.parts.add(TRAFFIC_LIGHT, lights, transform=base)


def bollards(site: Site, front: Frontage) -> None:
    """A row of bollards on a stretch of kerb."""
    road, side, rng = front.road, front.side, site.rng
    if road.sidewalk[0 if side > 0 else 1] < _NARROW or front.end - front.start < 20:
        return
    start = rng.uniform(front.start + 5, front.end - 14)
    along = start + 1.6 * np.arange(int(rng.integers(4, 9)))
    x, y, _ = road.at(along, side * (road.half_width(side) + 0.38))
    places = np.stack([x, y, np.full_like(x, KERB)], axis=1)
    tone = [(0.05, 0.05, 0.055), (0.3, 0.3, 0.3), (0.35, 0.03, 0.03)][rng.integers(3)]
    site.parts.add(POLE, posts(places, 0.95, 0.06, Material(tone, gloss=0.02)))


def delineators(site: Site, front: Frontage) -> None:
    """Delineator posts every 25 m."""
    road, side = front.road, front.side
    along = np.arange(front.start + 8, front.end - 5, 25.0)
    if len(along):
        x, y, yaw = road.at(
            along, side * (road.half_width(side) + (0.75 if road.sidewalk[0 if side > 0 else 1] < 0.4 else 0.4))
        )
        places = np.stack([x, y, np.full_like(x, 0.05)], axis=1)
        site.parts.add(POLE, *delineator(places, yaw + (np.pi if side > 0 else 0.0)))


def bus_stop(site: Site, front: Frontage) -> None:
    """A shelter behind the sidewalk and its sign by the kerb."""
    street = Street(front)
    if street.length < 24:
        return
    distance = float(site.rng.uniform(10, street.length - 10))
    base = street.frame(distance, 0.5)
    if not site.free(base, 4.0, 1.7, clear=0.3):
        return
    site.parts.add(BUILDING, bus_shelter(4.0, site.rng), transform=base @ pose(0, 0, GRADE))
    site.take(base, 4.0, 1.7)
    put_sign(site, front.road, front.side, float(street.along(distance)) - 3.0, ("way",), -front.side)


def overpass(site: Site) -> None:
    """A bridge across the main road somewhere between junctions."""
    layout, rng = site.layout, site.rng
    main = layout.town.main
    places = [(s, e) for s, e in open_stretches(layout) if e - s > 26 and e > 40]
    if not places:
        return
    start, end = places[rng.integers(len(places))]
    along = rng.uniform(max(start + 10, 25.0), end - 10) if end - 10 > max(start + 10, 25.0) else None
    if along is None:
        return
    middle = 0.5 * (main.frontage(1) - main.frontage(-1))
    base = _at(main, float(along), middle, float(rng.uniform(-0.15, 0.15)), 0.0)
    width, reach = float(rng.uniform(3.5, 10.0)), 42.0
    y = np.linspace(-reach, reach, 57)
    # Piers stand on both sides of the road, and further on where there is none.
    edge = 0.5 * (main.frontage(1) + main.frontage(-1)) + 1.3
    wanted = np.array([-edge, edge, -edge - 16, edge + 16])
    lines = [np.stack([np.full_like(wanted, x), wanted], axis=1) for x in (-0.25 * width, 0.25 * width)]
    clear = [layout.clearance(line @ base[:2, :2].T + base[:2, 3]) > 0.6 for line in lines]
    for center in y:
        corner = base @ pose(-width / 2 - 1.0, center - 0.8)
        if abs(center) > edge - 1.0:
            site.take(corner, width + 2.0, 1.6)
    deck, rails = bridge(wanted[clear[0] & clear[1]], width, float(rng.uniform(5.0, 6.2)), reach, rng)
    site.parts.add(BUILDING, deck, transform=base)
    site.parts.add(FENCE, rails, transform=base)
