"""Buildings: fronts with inset windows, doors and shops, balconies, pitched and flat roofs, halls."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.synthetic.facades import Facade, Look, draw_look, front_mesh
from mapt_ros.synthetic.mesh import Material, Mesh, Texture, joined, pose
from mapt_ros.synthetic.shapes import boxes, quads, triangles

BUILDING = 2

_TILES = ((0.23, 0.075, 0.045), (0.16, 0.06, 0.045), (0.09, 0.055, 0.045), (0.055, 0.055, 0.06), (0.28, 0.11, 0.06))
_FLAT = Material((0.12, 0.12, 0.12), Texture.ASPHALT)


@dataclass(frozen=True)
class Plan:
    """What kind of building to put up.

    Attributes:
        width, depth: metres.
        floors: storeys below the eaves.
        roof: "ridge" (along the front), "gable" (towards the front), "hip" or "flat".
        shops: whether the ground floor of the front has shops.
        balconies: share of the windows' columns of the front with balconies.
        exposed: which of the left side, right side and back show windows; the rest are blank walls.
        rich: whether windows are inset (near the road) or lie in the wall's plane.
    """

    width: float
    depth: float
    floors: int
    roof: str
    shops: bool = False
    balconies: float = 0.0
    exposed: tuple[bool, bool, bool] = (True, True, True)
    rich: bool = True


def building(plan: Plan, rng: np.random.Generator) -> Mesh:
    """A building whose front runs along x from the origin at y = 0 and looks to -y; z = 0 is the ground."""
    look = draw_look(rng, modern=plan.roof == "flat")
    eaves = look.base + plan.floors * look.storey + (0.9 if plan.shops else 0.35)
    width, depth = plan.width, plan.depth
    front = Facade(width, plan.floors, eaves, plan.shops, True, plan.balconies, plan.rich)
    meshes = [front_mesh(front, look, rng)]
    sides = (
        (plan.exposed[0], plan.rich, depth, pose(0, depth, 0, -np.pi / 2)),
        (plan.exposed[1], plan.rich, depth, pose(width, 0, 0, np.pi / 2)),
        (plan.exposed[2], False, width, pose(width, depth, 0, np.pi)),
    )
    for exposed, rich, length, place in sides:
        if exposed:
            side = Facade(length, plan.floors, eaves, False, False, 0.0, rich)
            meshes.append(front_mesh(side, look, rng).moved(place))
        else:
            blank = np.array([[(0, 0, -1), (length, 0, -1), (length, 0, eaves), (0, 0, eaves)]])
            meshes.append(quads(blank, look.wall).moved(place))
    meshes += _roof(plan, look, eaves, rng)
    return joined(meshes)


def _roof(plan: Plan, look: Look, eaves: float, rng: np.random.Generator) -> list[Mesh]:
    if plan.roof == "flat":
        return _flat_roof(plan.width, plan.depth, eaves, look, rng)
    color = np.array(_TILES[rng.integers(len(_TILES))]) * rng.uniform(0.8, 1.25)
    tiles = Material(tuple(color), Texture.BRICK, 0.28, tuple(color * 0.7), seed=int(rng.integers(16)))
    if plan.roof == "gable":
        turned = _pitched(plan.depth, plan.width, eaves, tiles, look, 0.35, 0.35, False, rng)
        return [mesh.moved(pose(plan.width, 0, 0, np.pi / 2)) for mesh in turned] + _chimneys(plan, eaves, rng)
    detached = all(plan.exposed[:2])
    over = 0.4 if detached else 0.0
    roof = _pitched(plan.width, plan.depth, eaves, tiles, look, over, 0.45, plan.roof == "hip", rng)
    return roof + _chimneys(plan, eaves, rng)


def _pitched(
    width: float,
    depth: float,
    eaves: float,
    tiles: Material,
    look: Look,
    over_sides: float,
    over_front: float,
    hip: bool,
    rng: np.random.Generator,
) -> list[Mesh]:
    """A roof with its ridge along x over [0, width] x [0, depth]."""
    slope = np.tan(np.radians(rng.uniform(33, 48)))
    top = eaves + 0.5 * depth * slope
    low = eaves - over_front * slope
    x0, x1, y0, y1, middle = -over_sides, width + over_sides, -over_front, depth + over_front, 0.5 * depth
    inset = 0.55 * depth if hip and width > 1.2 * depth else (0.3 * width if hip else 0.0)
    a, b = (x0 + inset, middle, top), (x1 - inset, middle, top)
    slopes = [
        [(x0, y0, low), (x1, y0, low), b, a],
        [(x1, y1, low), (x0, y1, low), a, b],
    ]
    meshes = [quads(slopes, tiles)]
    if hip:
        meshes.append(triangles([[(x0, y1, low), (x0, y0, low), a], [(x1, y0, low), (x1, y1, low), b]], tiles))
    else:
        gables = [
            [(0, depth, eaves), (0, 0, eaves), (0, middle, top)],
            [(width, 0, eaves), (width, depth, eaves), (width, middle, top)],
        ]
        meshes.append(triangles(gables, look.wall))
    # Eaves have a thickness and an underside; a gutter runs along them.
    under = [
        [(x0, y0, low), (x0, 0, low), (x1, 0, low), (x1, y0, low)],
        [(x1, y1, low), (x1, depth, low), (x0, depth, low), (x0, y1, low)],
    ]
    meshes.append(quads(under, look.trim))
    gutter = Material((0.2, 0.21, 0.2), Texture.PLAIN, gloss=0.03)
    lows = np.array([(x0, y0 - 0.1, low - 0.08), (x0, y1 - 0.04, low - 0.08)])
    meshes.append(boxes(lows, lows + np.array([x1 - x0, 0.14, 0.13]), gutter))
    if not hip and width > 6:
        meshes += _dormers(width, depth, eaves, slope, tiles, look, rng)
    return meshes


def _dormers(
    width: float, depth: float, eaves: float, slope: float, tiles: Material, look: Look, rng: np.random.Generator
) -> list[Mesh]:
    """Dormers or skylights in the front slope."""
    count = int(rng.integers(0, max(2, int(width / 3.2))))
    if not count:
        return []
    x = (np.arange(count) + 0.5) * width / count - 0.65
    if rng.random() < 0.4:  # skylights lie in the slope
        y = 0.22 * depth
        ends = np.array([(0, y), (0.8, y), (0.8, y + 1.0), (0, y + 1.0)])
        points = np.stack([x[:, None] + 0.25 + ends[:, 0], np.broadcast_to(ends[:, 1], (count, 4))], axis=-1)
        return [quads(np.concatenate([points, eaves + 0.06 + slope * points[..., 1:]], axis=-1), look.panes[0])]
    y, z = 0.08 * depth, eaves + 0.08 * depth * slope
    height = 1.35
    low = np.stack([x, np.full(count, y), np.full(count, z)], axis=1)
    back = np.array([1.3, min(0.4 * depth, height / slope + 0.3), height])
    cheeks = boxes(low, low + back, tiles)
    frame = quads(
        (low + np.array([0.1, -0.02, 0.15]))[:, None] + np.array([(0, 0, 0), (1.1, 0, 0), (1.1, 0, 1.1), (0, 0, 1.1)]),
        look.frame,
    )
    pane = quads(
        (low + np.array([0.18, -0.04, 0.23]))[:, None]
        + np.array([(0, 0, 0), (0.94, 0, 0), (0.94, 0, 0.94), (0, 0, 0.94)]),
        look.panes[0],
    )
    lid = low + np.array([-0.12, -0.25, height])
    return [cheeks, frame, pane, boxes(lid, lid + back * np.array([1.2, 1.25, 0.08]), tiles, bottom=True)]


def _chimneys(plan: Plan, eaves: float, rng: np.random.Generator) -> list[Mesh]:
    count = int(rng.integers(0, 3))
    brick = Material((0.2, 0.1, 0.075), Texture.BRICK, 0.24)
    x, y = rng.uniform(0.2, 0.8, count) * plan.width, rng.uniform(0.4, 0.65, count) * plan.depth
    low = np.stack([x, y, np.full(count, eaves)], axis=1)
    top = 0.45 * (plan.width if plan.roof == "gable" else plan.depth) + rng.uniform(0.3, 1.0)
    return [boxes(low, low + np.array([0.5, 0.6, top]), brick)] if count else []


def _flat_roof(width: float, depth: float, eaves: float, look: Look, rng: np.random.Generator) -> list[Mesh]:
    top = eaves + 0.5
    lid = [[(0, 0, eaves + 0.1), (width, 0, eaves + 0.1), (width, depth, eaves + 0.1), (0, depth, eaves + 0.1)]]
    low = np.array(
        [(-0.08, -0.08, eaves - 0.25), (-0.08, depth - 0.2, eaves), (-0.08, 0.2, eaves), (width - 0.2, 0.2, eaves)]
    )
    high = np.array(
        [
            (width + 0.08, 0.2, top),
            (width + 0.08, depth + 0.08, top),
            (0.2, depth - 0.2, top),
            (width + 0.08, depth - 0.2, top),
        ]
    )
    meshes = [quads(lid, _FLAT), boxes(low, high, look.trim)]
    if rng.random() < 0.6:  # a lift's head, air conditioning
        place = np.array([rng.uniform(0.2, 0.6) * width, rng.uniform(0.3, 0.5) * depth, eaves])
        meshes.append(boxes(place, place + np.array([rng.uniform(2, 4), 3, rng.uniform(1.2, 2.6)]), look.wall))
    return meshes


def hall(width: float, depth: float, height: float, rng: np.random.Generator) -> Mesh:
    """A factory or warehouse with gates and a band of windows; placed like ``building``."""
    tone = np.array([(0.35, 0.36, 0.37), (0.5, 0.5, 0.48), (0.2, 0.26, 0.33), (0.32, 0.12, 0.08)][rng.integers(4)])
    sheet = rng.random() < 0.6
    tone = tone * rng.uniform(0.8, 1.2)
    if sheet:
        wall = Material(tuple(tone), Texture.FENCE, 0.25, tuple(tone * 0.86), seed=int(rng.integers(16)))
    else:
        texture = Texture.BRICK if tone[0] > 1.6 * tone[2] else Texture.CONCRETE
        wall = Material(tuple(tone), texture, 0.24 if texture is Texture.BRICK else 2.5, seed=int(rng.integers(16)))
    dark = Material((0.02, 0.025, 0.03), gloss=0.06, glass=True)
    frame = Material((0.25, 0.25, 0.26), Texture.PLAIN)
    bright = rng.uniform(0.15, 0.45) * np.array([1, 1, rng.uniform(0.9, 1.1)])
    gate = Material(tuple(bright), Texture.FENCE, 0.35, tuple(0.85 * bright))
    meshes = [boxes(np.array([0, 0, -1.0]), np.array([width, depth, height]), wall)]
    base = np.array([-0.04, -0.04, -1.0])
    meshes.append(boxes(base, np.array([width + 0.04, depth + 0.04, 0.45]), Material((0.28,) * 3, Texture.CONCRETE)))
    edge = np.array([-0.1, -0.1, height - 0.35])
    meshes.append(boxes(edge, np.array([width + 0.1, depth + 0.1, height + 0.1]), frame, bottom=True))

    def panel(x: np.ndarray, z: float, w: float, h: float, out: float, material: Material) -> Mesh:
        corners = np.array([(0, -out, z), (w, -out, z), (w, -out, z + h), (0, -out, z + h)])
        return quads(corners + np.stack([x, 0 * x, 0 * x], axis=1)[:, None], material)

    bays = max(2, int(width / 5.5))
    x = (np.arange(bays) + 0.5) * width / bays
    kinds = rng.choice(3, bays, p=[0.35, 0.35, 0.3])
    gates = x[kinds == 0] - 1.9
    meshes += [panel(gates - 0.15, 0.0, 4.1, min(4.4, height - 1.0), 0.05, frame)]
    meshes += [panel(gates, 0.0, 3.8, min(4.2, height - 1.1), 0.07, gate)]
    windows = x[kinds == 1] - 1.6
    meshes += [panel(windows - 0.08, 1.2, 3.36, 1.66, 0.05, frame), panel(windows, 1.28, 1.55, 1.5, 0.07, dark)]
    meshes += [panel(windows + 1.65, 1.28, 1.55, 1.5, 0.07, dark)]
    if height > 5.5 and rng.random() < 0.7:
        band = np.arange(0.8, width - 2.6, 2.4)
        meshes += [panel(band, height - 1.9, 2.25, 1.0, 0.05, dark)]
    if rng.random() < 0.6:
        paint = Material(tuple(rng.uniform(0.05, 0.5, 3)), Texture.PLAIN, gloss=0.03)
        meshes += [panel(np.array([rng.uniform(0.1, 0.5) * width]), height - 0.95, 5.0, 0.9, 0.16, paint)]
    return joined([mesh for mesh in meshes if len(mesh.faces)])


def garage(rng: np.random.Generator) -> Mesh:
    """A single garage, 3 m wide and 6 m deep, placed like ``building``."""
    wall = Material((0.5 * rng.uniform(0.7, 1.2),) * 3, Texture.PLASTER, 1.0)
    bright = rng.uniform(0.2, 0.55) * np.array([1, 0.98, 0.94])
    gate = Material(tuple(bright), Texture.FENCE, 0.2, tuple(0.8 * bright))
    panel = [[(0.3, -0.02, 0.12), (2.7, -0.02, 0.12), (2.7, -0.02, 2.2), (0.3, -0.02, 2.2)]]
    roof = np.array([-0.1, -0.15, 2.5])
    return joined(
        [
            boxes(np.array([0, 0, -0.5]), np.array([3.0, 6.0, 2.55]), wall),
            quads(panel, gate),
            boxes(roof, roof + np.array([3.2, 6.3, 0.22]), Material((0.15,) * 3), bottom=True),
        ]
    )
