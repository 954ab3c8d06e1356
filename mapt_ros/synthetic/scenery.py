"""The static world around a town's roads: ground, buildings, greenery and street furniture, laid out by style."""

import numpy as np

from mapt_ros.synthetic import roadside, woods
from mapt_ros.synthetic.frontage import fill
from mapt_ros.synthetic.greenery import Nursery
from mapt_ros.synthetic.ground import ground
from mapt_ros.synthetic.layout import Layout
from mapt_ros.synthetic.lots import Site
from mapt_ros.synthetic.mesh import Piece
from mapt_ros.synthetic.road import Town

# By style: chances of a tree row, of a bridge, of a bus stop on a side; metres between lamps, their height and kind.
_TREES = {"urban": 0.3, "suburb": 0.25, "avenue": 0.95, "industrial": 0.25, "country": 0.0}
_BRIDGE = {"urban": 0.06, "suburb": 0.04, "avenue": 0.4, "industrial": 0.3, "country": 0.15}
_LAMPS = {"urban": (26.0, 7.5), "suburb": (30.0, 4.5), "avenue": (28.0, 9.0), "industrial": (34.0, 8.0)}


def scenery(town: Town, view_distance: float = 120.0) -> list[Piece]:
    """The static meshes of a town, one piece a class; the same town gives the same meshes.

    Args:
        town: the plan.
        view_distance: metres that one can see ahead from the main road's end.
    """
    layout = Layout(town, view_distance)
    rng = np.random.default_rng([town.seed, 2])
    parts = ground(layout, np.random.default_rng([town.seed, 1]))
    site = Site(layout, parts, rng, Nursery(rng))
    if rng.random() < _BRIDGE[town.style]:
        roadside.overpass(site)
    for front in layout.fronts:
        if front.rank == 0 and town.style != "country" and rng.random() < 0.3:
            roadside.bus_stop(site, front)
    for front in layout.fronts:
        fill(site, front)
    woods.close_ends(site)
    woods.behind(site)
    woods.horizon(site)
    _line_streets(site)
    roadside.signs(site)
    roadside.traffic_lights(site)
    return parts.pieces()


def _line_streets(site: Site) -> None:
    """Rows of lamps, trees and posts along the kerbs."""
    layout, rng, style = site.layout, site.rng, site.layout.town.style
    kind, spacing = int(rng.random() < 0.3), float(rng.uniform(9.0, 14.0))
    sides = {1: rng.random() < _TREES[style], -1: rng.random() < _TREES[style]}
    for front in layout.fronts:
        main = front.rank == 0
        if style == "country":
            roadside.delineators(site, front)
            continue
        roadside.lamps(site, front, kind, *_LAMPS[style])
        if sides[front.side] and front.rank < 2:
            roadside.tree_row(site, front, spacing, 1.0 if main else 0.45)
        if main and rng.random() < 0.4:
            roadside.bollards(site, front)
