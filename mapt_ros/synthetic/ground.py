"""The ground of a town: carriageways with their markings, kerbs, sidewalks, and the land beyond."""

from itertools import pairwise

import numpy as np

from mapt_ros.synthetic.layout import BEFORE, KERB, KerbLine, Layout, Stretch
from mapt_ros.synthetic.mesh import Material, Mesh, Texture, one_material
from mapt_ros.synthetic.road import Junction, Road
from mapt_ros.synthetic.shapes import Parts, quads

ROAD, SIDEWALK, TERRAIN = 0, 1, 9

_LAND = 160.0  # metres of land around the roads
_CELL = 10.0
_PAINT = 0.006  # height of paint above the asphalt, so that it is hit first
_CROSSING = 3.6  # width of a pedestrian crossing
_BELOW = -0.004  # where carriageways overlap, each further one lies that much lower


def ground(layout: Layout, rng: np.random.Generator) -> Parts:
    """Everything flat: road, sidewalk and terrain."""
    parts = Parts()
    grey = rng.uniform(0.085, 0.17)
    tint = 1 + rng.normal(0, 0.02, 3)
    asphalt = Material(tuple(grey * tint), Texture.ASPHALT, 1.0, seed=int(rng.integers(1000)))
    old = Material(tuple(grey * tint * rng.uniform(0.8, 1.25)), Texture.ASPHALT, 1.0, seed=int(rng.integers(1000)))
    paved = Material(tuple(grey * tint * 1.25), Texture.PAVING, 0.2, seed=int(rng.integers(1000)))
    paint = Material((rng.uniform(0.45, 0.7),) * 3, Texture.PLAIN, seed=int(rng.integers(1000)))
    bay = paved if rng.random() < 0.6 else old
    for level, stretch in enumerate(layout.stretches):
        _carriageway(parts, stretch, min(level, 1) * _BELOW, asphalt if level == 0 else old, bay)
    for junction in layout.junctions[:-1]:
        _arm_markings(parts, layout, junction, paint, rng)
    _main_markings(parts, layout, paint, rng)
    stone = _sidewalk_materials(rng)
    grass = _grass(rng)
    for line in layout.kerb_lines():
        _apron(parts, line, asphalt)
        _sidewalk(parts, line, *stone)
        _verge(parts, layout, line, grass)
    parts.add(TERRAIN, _land(layout, grass))
    return parts


def _sidewalk_materials(rng: np.random.Generator) -> tuple[Material, Material]:
    """Kerb stone and slabs."""
    light = rng.uniform(0.2, 0.34)
    warm = np.array([1.0, rng.uniform(0.93, 1.0), rng.uniform(0.84, 1.0)])
    if rng.random() < 0.2:
        warm = np.array([1.0, 0.72, 0.62])  # red concrete pavers
    texture = Texture.ASPHALT if rng.random() < 0.2 else Texture.PAVING
    slabs = Material(tuple(light * warm), texture, float(rng.choice([0.2, 0.3, 0.5])), seed=int(rng.integers(1000)))
    return Material((light * 1.25,) * 3, Texture.CONCRETE, 1.0, seed=int(rng.integers(1000))), slabs


def _grass(rng: np.random.Generator) -> Material:
    dry = rng.uniform(0, 1) ** 1.5
    color = (1 - dry) * np.array([0.075, 0.115, 0.038]) + dry * np.array([0.19, 0.175, 0.085])
    return Material(tuple(color), Texture.GRASS, 1.0, tuple(color * 0.6), seed=int(rng.integers(1000)))


def _carriageway(parts: Parts, stretch: Stretch, z: float, asphalt: Material, bay: Material) -> None:
    road = stretch.road
    start, end = stretch.start, stretch.end
    along = np.linspace(start, end, max(2, int((end - start) / 1.5) + 1))
    lanes = road.lanes * road.lane_width
    edges = [-road.half_width(-1), -lanes, 0.0, lanes, road.half_width(1)]
    for k, (low, high) in enumerate(pairwise(edges)):
        if high - low > 0.01:
            parts.add(ROAD, ribbon(road, along, low, high, z, bay if k in (0, 3) else asphalt))


def ribbon(road: Road, along: np.ndarray, low: float, high: float, z: float, material: Material) -> Mesh:
    """The strip of a road between two lateral offsets; its texture runs along the road."""
    s0, s1 = along[:-1], along[1:]
    return painted(road, np.stack([s0, s1, np.full_like(s0, low), np.full_like(s0, high)], axis=1), z, material)


def painted(road: Road, marks: np.ndarray, z: float, material: Material) -> Mesh:
    """Quads on a road: Nx4 (from, to) along and (from, to) to the left, all in metres."""
    marks = np.asarray(marks, dtype=np.float64).reshape(-1, 4)
    return _painted_quads(road, marks[:, [0, 1, 1, 0]], marks[:, [2, 2, 3, 3]], z, material)


def _painted_quads(road: Road, along: np.ndarray, lateral: np.ndarray, z: float, material: Material) -> Mesh:
    """Quads on a road whose corners are Nx4 metres along it and Nx4 metres to its left."""
    x, y, _ = road.at(along, lateral)
    height = np.full_like(x, z)
    return quads(np.stack([x, y, height], -1), material, np.stack([along, lateral, height], -1))


def _arrow(along: float, lateral: float, way: int, bent: int) -> np.ndarray:
    """An arrow in a lane for traffic that drives in a direction (+1, -1): Kx4x2 corners, along and to the left.

    ``bent`` is 0 for straight on, +1 for left, -1 for right.
    """
    shaft = [(-1.6, -0.08), (0.6 if bent else 0.4, -0.08), (0.6 if bent else 0.4, 0.08), (-1.6, 0.08)]
    if bent:
        arm = [(0.44, 0.0), (0.6, 0.0), (0.6, 0.55), (0.44, 0.55)]
        head = [(0.18, 0.5), (0.86, 0.5), (0.52, 1.05), (0.52, 1.05)]
        shapes = np.array([shaft, arm, head]) * (1, bent)
        shapes[1:] = shapes[1:] if bent > 0 else shapes[1:, ::-1]
        shapes[0] = np.array(shaft)
    else:
        shapes = np.array([shaft, [(0.4, -0.3), (1.6, 0.0), (1.6, 0.0), (0.4, 0.3)]])
    return shapes * way + (along, lateral)


def dashes(start: float, end: float, dash: float, gap: float, lateral: float, width: float) -> np.ndarray:
    """Marks of a dashed line (gap 0: solid) for ``painted``."""
    begin = np.arange(start, end - 0.3, dash + gap)
    finish = np.minimum(begin + dash, end)
    return np.stack(
        [begin, finish, np.full_like(begin, lateral - width / 2), np.full_like(begin, lateral + width / 2)], 1
    )


def open_stretches(layout: Layout) -> list[tuple[float, float]]:
    """The parts of the main road between junctions, from stop line to stop line."""
    stretches, start = [], -BEFORE
    for junction in layout.junctions:
        sides = [side for side in (1, -1) if (junction.left if side > 0 else junction.right)]
        margin = layout.radius(junction.road, sides[0])
        begin = min(layout.corner(junction, side, -1)[0] for side in sides) - margin
        if begin > start + 4:
            stretches.append((start, begin))
        start = max(layout.corner(junction, side, 1)[0] for side in sides) + margin
    return stretches


def stop_offset() -> float:
    """Metres from where a corner begins back to a stop line at traffic lights."""
    return _CROSSING + 0.6 + 1.2


def _main_markings(parts: Parts, layout: Layout, paint: Material, rng: np.random.Generator) -> None:
    main, marks = layout.town.main, []
    style = rng.random()
    width = rng.uniform(0.12, 0.16)
    lanes = main.lanes * main.lane_width
    stretches = open_stretches(layout)
    gap = rng.choice([3.0, 4.0, 6.0])
    arrows: list[np.ndarray] = []
    free_start = -BEFORE  # where lines may begin: behind the crossing and the stop line
    for k, (start, end) in enumerate(stretches):
        junction = next((j for j in layout.town.junctions if k + 1 < len(stretches) and j.along > end), None)
        free_end = end
        if junction is not None:
            zebra = not junction.lights and rng.random() < 0.6
            taken = stop_offset() + 0.8 if junction.lights else _CROSSING + 1.2 if zebra else 0.5
            free_end, after = end - taken, stretches[k + 1][0]
            marks += _approach(junction, zebra, lanes - 0.3, end, after)
            if junction.lights and rng.random() < 0.6:
                arrows += _arrows(main, (end, after), rng)
        marks += _lines(main, layout.town.style, free_start, free_end, end, style, width, gap)
        free_start = after + taken if junction is not None else end
    split = [_split(mark) for mark in marks if len(mark)]
    if split:  # a narrow road without junctions may have no mark at all
        parts.add(ROAD, painted(main, np.concatenate(split), _PAINT, paint))
    if arrows:
        corners = np.concatenate(arrows)
        parts.add(ROAD, _painted_quads(main, corners[..., 0], corners[..., 1], _PAINT, paint))


def _arrows(main: Road, places: tuple[float, float], rng: np.random.Generator) -> list[np.ndarray]:
    """Arrows in the lanes before both stop lines of a junction."""
    arrows = []
    for place, way in ((places[0], 1), (places[1], -1)):
        for lane in range(1, main.lanes + 1):
            if main.lanes == 1:
                bent = int(rng.choice([0, 1]))
            else:
                bent = {1: int(rng.choice([0, 1])), main.lanes: int(rng.choice([0, -1]))}.get(lane, 0)
            lateral = float(main.lane_offset(way * lane))
            for distance in (5.0, 17.0):
                arrows.append(_arrow(place - way * (stop_offset() + distance), lateral, way, bent))
    return arrows


def _split(marks: np.ndarray, longest: float = 1.5) -> np.ndarray:
    """Long marks cut to pieces that can follow a bend."""
    pieces = np.maximum(1, np.ceil((marks[:, 1] - marks[:, 0]) / longest).astype(int))
    rows = np.repeat(np.arange(len(marks)), pieces)
    part = np.concatenate([np.arange(n) for n in pieces]) / pieces[rows]
    length = (marks[:, 1] - marks[:, 0])[rows]
    result = marks[rows].copy()
    result[:, 0] += part * length
    result[:, 1] = result[:, 0] + length / pieces[rows]
    return result


def _lines(
    main: Road, town: str, start: float, end: float, edge_end: float, style: float, width: float, gap: float
) -> list[np.ndarray]:
    """Lines along a stretch of the main road; those at its edges go on to ``edge_end``."""
    marks = []
    lanes = main.lanes * main.lane_width
    if main.lanes > 1:
        for lateral in (-0.12, 0.12) if style < 0.6 else (0.0,):
            marks.append(dashes(start, end, 1.5, 0.0, lateral, width))
        for lane in range(1, main.lanes):
            for sign in (-1, 1):
                marks.append(dashes(start, end, 3.0, gap, sign * lane * main.lane_width, width))
    elif style < 0.85:
        solid = min(12.0, 0.3 * (end - start))
        marks.append(dashes(start, end - solid, 3.0, gap, 0.0, width))
        marks.append(dashes(end - solid, end, 1.5, 0.0, 0.0, width))
    for side in (-1, 1):
        if main.parking[0 if side > 0 else 1] > 0:
            marks.append(dashes(start, edge_end, 1.0, 1.0, side * lanes, 0.1))
        elif town in ("country", "avenue", "industrial"):
            marks.append(dashes(start, edge_end, 1.5, 0.0, side * (lanes - 0.18), width))
    return marks


def _approach(junction: Junction, zebra: bool, half: float, before: float, after: float) -> list[np.ndarray]:
    """Stop lines and pedestrian crossings on both sides of a junction of the main road."""
    marks = []
    for place, sign in ((before, 1), (after, -1)):
        near = place - sign * (_CROSSING + 0.6)
        low, high = sorted((near, near + sign * _CROSSING))
        if zebra:
            bars = np.arange(-half, half - 0.4, 1.0)
            marks.append(np.stack([np.full_like(bars, low), np.full_like(bars, high), bars, bars + 0.5], axis=1))
        elif junction.lights:
            bars = np.arange(-half, half - 0.4, 0.75)
            for edge in (low, high):
                along = np.full_like(bars, edge)
                marks.append(np.stack([along - 0.06, along + 0.06, bars, bars + 0.5], axis=1))
            stop = near - sign * 1.2
            lateral = (-half, -0.1) if sign > 0 else (0.1, half)
            marks.append(np.array([(*sorted((stop, stop - sign * 0.5)), *lateral)]))
    return marks


def _arm_markings(parts: Parts, layout: Layout, junction: Junction, paint: Material, rng: np.random.Generator) -> None:
    road, marks = junction.road, []
    middle, half = 0.5 * road.length, road.lanes * road.lane_width
    zebra, dashed = rng.random() < 0.5, rng.random() < 0.7
    for side in (1, -1):
        if not (junction.left if side > 0 else junction.right):
            continue
        corner = np.mean([layout.corner(junction, side, forward)[1] for forward in (-1, 1)])
        begin = corner + side * 0.8  # the give-way line
        # Traffic that comes towards the main road is on its own right: left of the road's direction on the left arm.
        own = (0.1, half - 0.1) if side > 0 else (-half + 0.1, -0.1)
        bars = np.arange(own[0], own[1] - 0.3, 0.75)
        if junction.lights:
            stop = corner + side * (layout.radius(road, side) + 1.5)
            marks.append(np.array([(*sorted((stop, stop + side * 0.5)), *own)]))
        else:
            low, high = sorted((begin, begin + side * 0.5))
            marks.append(np.stack([np.full_like(bars, low), np.full_like(bars, high), bars, bars + 0.5], axis=1))
        cross = corner + side * (layout.radius(road, side) - 3.6)
        if zebra:
            bars = np.arange(-half + 0.2, half - 0.4, 1.0)
            low, high = sorted((cross, cross + side * 3.2))
            marks.append(np.stack([np.full_like(bars, low), np.full_like(bars, high), bars, bars + 0.5], axis=1))
        if dashed:
            start, end = sorted((corner + side * (layout.radius(road, side) + 3.0), middle + side * (middle - 2.0)))
            if end > start + 3:
                marks.append(dashes(start, end, 3.0, 4.0, 0.0, 0.12))
    if marks:
        parts.add(ROAD, painted(road, np.concatenate(marks), _PAINT, paint))


def _levels(points: np.ndarray, z: np.ndarray | float) -> np.ndarray:
    return np.concatenate([points, np.broadcast_to(z, len(points))[:, None]], axis=1)


def _band(line: KerbLine, inner: np.ndarray, outer: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
    """Nx4x3 quads between two lines along a kerb, their upper sides up."""
    corners = np.stack([inner[:-1], inner[1:], outer[1:], outer[:-1]], axis=1)
    if line.side < 0:
        corners = corners[:, ::-1]
    return corners if keep is None else corners[keep]


def _apron(parts: Parts, line: KerbLine, asphalt: Material) -> None:
    """Asphalt between a rounded kerb and the corner where the roads' straight edges would meet."""
    keep = line.rounded[:-1] | line.rounded[1:]
    z = 2 * _BELOW
    inner, outer = _levels(line.points - 3.4 * line.outward, z), _levels(line.points, z)
    parts.add(ROAD, quads(_band(line, inner, outer, keep), asphalt))


def _sidewalk(parts: Parts, line: KerbLine, stone: Material, slabs: Material) -> None:
    """Kerb and slabs; where there is no sidewalk, nothing."""
    wide = line.sidewalk > 0.4
    keep = wide[:-1] & wide[1:]
    if not keep.any():
        return
    edge = line.points + 0.14 * line.outward
    far = line.points + line.sidewalk[:, None] * line.outward
    face = _band(line, _levels(line.points, -0.01), _levels(line.points, KERB), keep)
    top = _band(line, _levels(line.points, KERB), _levels(edge, KERB), keep)
    parts.add(SIDEWALK, quads(np.concatenate([face, top]), stone))
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line.points, axis=0), axis=1))])
    zero = np.zeros_like(length)
    rest = _band(line, np.stack([length, zero, zero], axis=1), np.stack([length, line.sidewalk, zero], axis=1), keep)
    parts.add(SIDEWALK, quads(_band(line, _levels(edge, KERB), _levels(far, KERB), keep), slabs, rest))


def _verge(parts: Parts, layout: Layout, line: KerbLine, grass: Material) -> None:
    """The land next to the sidewalk, which follows the road; it ends where it would run into another road."""
    offsets = np.array([0.0, 2.5, 6.0, 12.0, 20.0, 28.0])
    heights = np.array([KERB - 0.02, KERB - 0.02, KERB, KERB + 0.05, KERB + 0.05, -0.3])
    bare = line.sidewalk < 0.4
    rows = []
    for offset, height in zip(offsets, heights, strict=True):
        points = line.points + (np.maximum(line.sidewalk - 0.02, 0) + offset)[:, None] * line.outward
        rows.append(_levels(points, np.where(bare & (offset == 0), 0.0, height)))
    free = np.stack([layout.clearance(row[:, :2]) > -0.1 for row in rows])
    for k in range(len(rows) - 1):
        keep = free[k, :-1] & free[k, 1:] & free[k + 1, :-1] & free[k + 1, 1:]
        parts.add(TERRAIN, quads(_band(line, rows[k], rows[k + 1], keep), grass))


def hill_height(away: np.ndarray) -> np.ndarray:
    """Height of the land ``away`` metres from the roads."""
    return 0.1 + 0.025 * np.maximum(away - 60.0, 0)


def _land(layout: Layout, grass: Material) -> Mesh:
    """The far land as a coarse height field that passes below everything near the roads."""
    places = np.concatenate([np.stack(stretch.samples[1:3], axis=1) for stretch in layout.stretches])
    low, high = places.min(axis=0) - _LAND, places.max(axis=0) + _LAND
    nx, ny = (np.ceil((high - low) / _CELL).astype(int) + 1).tolist()
    x, y = np.meshgrid(low[0] + _CELL * np.arange(nx), low[1] + _CELL * np.arange(ny), indexing="ij")
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    away = layout.clearance(points)
    z = np.where(away < 20.0, -0.15, hill_height(away))
    index = np.arange(nx * ny).reshape(nx, ny)
    corners = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    faces = corners[:, [(0, 1, 2), (0, 2, 3)]].reshape(-1, 3)
    return one_material(_levels(points, z), faces, grass, smooth=True)
