"""What stands along a street behind the sidewalk, by the town's style: rows of houses, gardens, halls, fields."""

from itertools import pairwise

import numpy as np

from mapt_ros.synthetic.buildings import BUILDING, Plan, building, garage, hall
from mapt_ros.synthetic.furniture import FENCE, WALL, garden_wall, railing
from mapt_ros.synthetic.greenery import VEGETATION, bush, hedge, leaves, planted
from mapt_ros.synthetic.layout import KERB, Frontage
from mapt_ros.synthetic.lots import GRADE, Site, Street
from mapt_ros.synthetic.mesh import Material, Texture, pose
from mapt_ros.synthetic.shapes import quads

SIDEWALK, TERRAIN = 1, 9


def fill(site: Site, front: Frontage) -> None:
    """Builds along a frontage in the style of the town."""
    street = Street(front)
    if street.length < 7:
        return
    {"urban": _row, "suburb": _gardens, "avenue": _estates, "industrial": _works, "country": _fields}[
        site.layout.town.style
    ](site, street)


def _put(site: Site, base: np.ndarray, plan: Plan) -> None:
    site.parts.add(BUILDING, building(plan, site.rng), transform=base)
    site.take(base, plan.width, plan.depth)


def _rich(street: Street) -> bool:
    return street.front.rank < 2


def _row(site: Site, street: Street) -> None:
    """Closed fronts along the sidewalk, with a courtyard or a small garden now and then."""
    rng = site.rng
    storeys = int(rng.integers(2, 5)) if street.front.rank == 0 else int(rng.integers(2, 4))
    shops = rng.uniform(0.2, 0.8) if street.front.rank == 0 else 0.15
    distance, first = 0.0, True
    while distance + 6.5 < street.length:
        width = float(min(rng.uniform(8.5, 17.0), street.length - distance))
        if street.length - distance - width < 6.5:
            width = float(min(street.length - distance, 19.0))
        last = street.length - distance - width < 6.5
        gap = not first and not last and rng.random() < 0.1
        depth = float(rng.uniform(9.5, 12.0))
        base = street.lot(site, distance + width / 2, width, 0.12)
        if gap:
            _courtyard(site, street, distance, distance + min(width, 9.0))
            distance += min(width, 9.0)
            first = True
            continue
        if site.free(base, width, depth, overlap=2.5):
            floors = max(2, storeys + int(rng.integers(-1, 2)))
            roof = str(rng.choice(["ridge", "flat", "hip"], p=[0.72, 0.22, 0.06]))
            plan = Plan(
                width,
                depth,
                floors,
                roof,
                bool(rng.random() < shops),
                float(rng.choice([0.0, 0.25, 0.5], p=[0.72, 0.18, 0.1])),
                (last, first, False) if street.front.side < 0 else (first, last, False),
                _rich(street),
            )
            _put(site, base, plan)
            first = False
        else:
            _courtyard(site, street, distance, distance + width)
            first = True
        distance += width


def _courtyard(site: Site, street: Street, start: float, end: float) -> None:
    """A gap in a row: a wall, a fence or a hedge with trees behind."""
    rng = site.rng
    line = street.line(start, end, 0.3)
    if not _clear(site, line, 0.15):
        return
    kind = rng.integers(3)
    if kind == 0:
        site.parts.add(WALL, garden_wall(line, rng.uniform(1.6, 2.4), rng))
    elif kind == 1:
        site.parts.add(FENCE, railing(line, 1.6, int(rng.choice([0, 2, 3])), rng))
    else:
        _hedge(site, line, rng.uniform(1.2, 2.0))
    for distance in np.arange(start + 2, end, 4.5):
        _tree(site, street.frame(distance, rng.uniform(4, 9)))


def _clear(site: Site, line: np.ndarray, margin: float) -> bool:
    """Whether a line keeps a margin from all roads and runs over ground that is not taken."""
    points = line[:, :2]
    return bool(site.layout.clearance(points).min() >= margin - 1e-6 and site.bare(points, 0.1).all())


def _hedge(site: Site, line: np.ndarray, height: float, detail: float = 0.7) -> None:
    """A hedge along a line, straight from point to point."""
    width = float(site.rng.uniform(0.5, 0.9))
    green = leaves(site.rng, turning=False)
    coarse = line[::2]
    if not np.array_equal(coarse[-1], line[-1]):
        coarse = np.concatenate([coarse, line[-1:]])
    for a, b in pairwise(coarse):
        length = float(np.linalg.norm(b - a))
        if length > 0.4:
            yaw = float(np.arctan2(b[1] - a[1], b[0] - a[0]))
            plant = hedge(length, height, width, detail, green, site.rng)
            site.parts.add(VEGETATION, planted(plant, a[0], a[1], GRADE, yaw))


def _tree(site: Site, base: np.ndarray, size: float = 1.0) -> None:
    """A tree if there is room; the nearer to a road, the finer."""
    point = base[:2, 3]
    clear = float(site.layout.clearance(point[None])[0])
    if clear > 0.5 and site.bare(point[None], 1.2)[0]:
        detail = 1.0 if clear < 3 else 0.4 if clear < 12 else 0.13
        site.nursery.tree(site.parts, (float(point[0]), float(point[1]), GRADE), detail, size)


def _bushes(site: Site, base: np.ndarray, width: float, depth: float, count: int) -> None:
    """Bushes strewn over a rectangle of a frame."""
    rng = site.rng
    points = rng.uniform((0, 0), (width, depth), (count, 2)) @ base[:2, :2].T + base[:2, 3]
    if count:
        points = points[(site.layout.clearance(points) > 1.9) & site.bare(points, 0.5)]
    for x, y in points.tolist():
        plant = bush(rng.uniform((0.8, 0.8, 0.6), (2.0, 2.0, 2.2)), 0.5, rng)
        site.parts.add(VEGETATION, planted(plant, x, y, GRADE, rng.uniform(0, 6)))


def _paved(site: Site, base: np.ndarray, x0: float, x1: float, y0: float, y1: float, material: Material) -> None:
    """A drive or a yard: part of the sidewalk's class."""
    corners = np.array([[(x0, y0, KERB), (x1, y0, KERB), (x1, y1, KERB), (x0, y1, KERB)]])
    site.parts.add(SIDEWALK, quads(corners, material), transform=base)


def _gardens(site: Site, street: Street) -> None:
    """Detached and semi-detached houses in gardens behind fences, walls and hedges."""
    rng = site.rng
    distance = float(rng.uniform(0.0, 2.0))
    grey = rng.uniform(0.2, 0.32)
    drive = Material((grey, 0.96 * grey, 0.92 * grey), Texture.PAVING, 0.2, seed=int(rng.integers(16)))
    setback = float(rng.uniform(2.5, 6.0))
    while distance + 9.0 < street.length:
        lot = float(min(rng.uniform(12.0, 20.0), street.length - distance))
        width, depth = float(min(rng.uniform(7.5, 12.0), lot - 1.5)), float(rng.uniform(8.0, 11.0))
        left = float(rng.uniform(0.4, max(0.5, lot - width - 0.5)))
        place = setback + float(rng.uniform(-0.8, 1.2))
        # Seen from the street, the room beside the house is on its right.
        before = left if street.front.side > 0 else lot - width - left
        base = street.lot(site, distance + before + width / 2, width, place)
        gate = distance + (left + width + 1.8 if street.front.side > 0 else before - 1.8)
        middle = street.frame(distance + lot / 2, 0.0) @ pose(-lot / 2, 0.0)
        if site.free(base, width, depth):
            roof = str(rng.choice(["ridge", "gable", "hip", "flat"], p=[0.45, 0.3, 0.17, 0.08]))
            plan = Plan(width, depth, int(rng.choice([1, 2, 3], p=[0.35, 0.55, 0.1])), roof, rich=_rich(street))
            _put(site, base, plan)
            room = lot - left - width
            if room > 3.6:
                box = base @ pose(width + 0.3, rng.uniform(0.0, 2.0))
                if site.free(box, 3.0, 6.0):
                    site.parts.add(BUILDING, garage(rng), transform=box @ pose(0, 0, GRADE))
                    site.take(box, 3.0, 6.0)
                    way = box @ pose(1.5, 0.0)
                    _paved(site, box, 0.1, 2.9, -float(site.layout.clearance(way[None, :2, 3])[0]), 0.0, drive)
        _bushes(site, middle @ pose(0, 0.8), lot, max(1.0, setback - 1.5), int(rng.integers(0, 4)))
        if rng.random() < 0.6:
            _tree(site, middle @ pose(rng.uniform(1, lot - 1), rng.uniform(1.5, setback)), 0.7)
        for _ in range(int(rng.integers(1, 4))):
            _tree(site, middle @ pose(rng.uniform(0, lot), rng.uniform(setback + 10, setback + 24)), 0.95)
        _boundary(site, street, distance, distance + lot, float(gate))
        distance += lot


def _boundary(site: Site, street: Street, start: float, end: float, gate: float) -> None:
    """What closes a garden towards the sidewalk, with a gap around the ``gate``."""
    rng = site.rng
    kind = rng.choice(["hedge", "fence", "wall", "none"], p=[0.36, 0.32, 0.2, 0.12])
    board = int(rng.choice([0, 1, 2, 3], p=[0.4, 0.15, 0.3, 0.15]))
    height = float(rng.uniform(0.7, 1.8) if kind == "hedge" else rng.uniform(0.5, 1.3))
    for a, b in ((start, gate - 1.6), (gate + 1.6, end)):
        if b - a < 0.8 or kind == "none":
            continue
        line = street.line(a, b, 0.6 if kind == "hedge" else 0.3)
        if not _clear(site, line, 0.2):
            continue
        if kind == "hedge":
            _hedge(site, line, height)
        elif kind == "fence":
            site.parts.add(FENCE, railing(line, max(height, 0.9), board, rng))
        else:
            site.parts.add(WALL, garden_wall(line, height, rng))


def _estates(site: Site, street: Street) -> None:
    """Large blocks set back behind lawns and trees."""
    rng = site.rng
    setback = float(rng.uniform(4.0, 12.0))
    floors = int(rng.integers(3, 6))
    distance = float(rng.uniform(0, 6))
    while distance + 10.0 < street.length:
        width = float(min(rng.uniform(14.0, 34.0), street.length - distance))
        depth = float(rng.uniform(10.0, 13.0))
        base = street.lot(site, distance + width / 2, width, setback)
        if rng.random() < 0.85 and site.free(base, width, depth, overlap=0.5):
            roof = str(rng.choice(["flat", "ridge", "hip"], p=[0.5, 0.35, 0.15]))
            balconies = float(rng.choice([0.0, 0.4, 0.7], p=[0.4, 0.35, 0.25]))
            many = max(2, floors + int(rng.integers(-1, 2)))
            shops = bool(rng.random() < 0.2)
            _put(site, base, Plan(width, depth, many, roof, shops, balconies, rich=_rich(street)))
        else:
            for x in np.arange(2.0, width, 6.0):
                _tree(site, base @ pose(x + rng.uniform(-1.5, 1.5), rng.uniform(0, 10)), 1.15)
        _bushes(site, base @ pose(0, -setback + 1.2), width, max(1.0, setback - 2), int(width / 7))
        for x in np.arange(3.0, width, 11.0):
            if rng.random() < 0.6 and setback > 6:
                _tree(site, base @ pose(x, -rng.uniform(2.5, setback - 2)))
        distance += width + float(rng.uniform(3.0, 14.0))
    if rng.random() < 0.4:
        line = street.line(4.0, street.length - 4.0, 0.8)
        if _clear(site, line, 0.4):
            _hedge(site, line, rng.uniform(0.6, 1.3))


def _works(site: Site, street: Street) -> None:
    """Halls and offices in paved yards behind fences and walls."""
    rng = site.rng
    distance = float(rng.uniform(0, 4))
    while distance + 12.0 < street.length:
        width = float(min(rng.uniform(18.0, 42.0), street.length - distance))
        depth, setback = float(rng.uniform(14.0, 24.0)), float(rng.uniform(4.0, 12.0))
        base = street.lot(site, distance + width / 2, width, setback)
        if site.free(base, width, depth):
            if rng.random() < 0.75:
                site.parts.add(BUILDING, hall(width, depth, rng.uniform(4.5, 9.5), rng), transform=base)
                site.take(base, width, depth)
            else:
                width = min(width, 22.0)
                _put(site, base, Plan(width, 12.0, int(rng.integers(2, 4)), "flat", rich=_rich(street)))
            grey = rng.uniform(0.12, 0.25)
            yard = Material((grey,) * 3, Texture.CONCRETE, 3.0, seed=int(rng.integers(16)))
            if rng.random() < 0.6:
                _paved(site, base, 0.0, width, 0.3 - setback, 0.0, yard)
        else:
            for x in np.arange(2.0, width, 7.0):
                _tree(site, street.frame(distance + x, rng.uniform(4, 14)))
        a, b = distance + 0.5, distance + width - float(rng.uniform(4, 8))
        line = street.line(a, max(a + 2, b), 0.4)
        if _clear(site, line, 0.2):
            kind = rng.choice(["fence", "wall", "hedge", "none"], p=[0.45, 0.2, 0.2, 0.15])
            if kind == "fence":
                site.parts.add(FENCE, railing(line, rng.uniform(1.5, 2.1), int(rng.choice([1, 2, 2, 3])), rng))
            elif kind == "wall":
                site.parts.add(WALL, garden_wall(line, rng.uniform(1.2, 2.4), rng))
            elif kind == "hedge":
                _hedge(site, line, rng.uniform(0.8, 1.8))
        if rng.random() < 0.5:
            _tree(site, street.frame(distance + rng.uniform(0, width), rng.uniform(1.5, 3.5)))
        distance += width + float(rng.uniform(1.0, 9.0))


def _fields(site: Site, street: Street) -> None:
    """Fields, hedgerows, groves and rows of trees; a farm or a house here and there."""
    rng = site.rng
    distance = 0.0
    while distance + 8.0 < street.length:
        stretch = float(min(rng.uniform(18, 45), street.length - distance))
        end = distance + stretch
        kind = str(
            rng.choice(["grove", "row", "scrub", "house", "open", "hedge"], p=[0.24, 0.18, 0.2, 0.16, 0.1, 0.12])
        )
        if kind == "house":
            width, depth = float(rng.uniform(9, 16)), float(rng.uniform(8, 11))
            base = street.lot(site, distance + stretch / 2, width, float(rng.uniform(4, 14)))
            if site.free(base, width, depth):
                roof = str(rng.choice(["ridge", "gable", "hip"]))
                _put(site, base, Plan(width, depth, int(rng.integers(1, 3)), roof, rich=_rich(street)))
            for _ in range(5):
                _tree(site, street.frame(rng.uniform(distance, end), rng.uniform(3, 25)))
            line = street.line(distance + 1, end - 5, 0.5)
            if rng.random() < 0.6 and stretch > 10 and _clear(site, line, 0.3):
                site.parts.add(FENCE, railing(line, 1.1, int(rng.choice([0, 1, 2])), rng))
        elif kind in ("row", "hedge"):
            for place in np.arange(distance + 3, end, rng.uniform(7, 11)):
                _tree(site, street.frame(place, 2.2))
            if kind == "hedge":
                line = street.line(distance, end, 1.8)
                if _clear(site, line, 1.2):
                    _hedge(site, line, rng.uniform(1.0, 2.2))
        else:
            trees = {"grove": 0.3, "scrub": 0.1, "open": 0.04}[kind]
            for _ in range(int(trees * stretch)):
                _tree(site, street.frame(rng.uniform(distance, end), 3.0 + rng.exponential(7.0)), 1.1)
            count = int(stretch * {"grove": 0.2, "scrub": 0.5, "open": 0.08}[kind])
            middle = street.frame(distance, 0.0) if street.front.side > 0 else street.frame(end, 0.0)
            _bushes(site, middle @ pose(0, 1.5), stretch, 5.0, count)
        if kind in ("open", "house") and stretch > 12:
            line = street.line(distance + 1, end - 1, 0.35)
            if rng.random() < 0.35 and _clear(site, line, 0.2):
                site.parts.add(FENCE, railing(line, 0.75, 4, rng))
        distance = end
