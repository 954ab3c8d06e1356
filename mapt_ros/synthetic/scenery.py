"""The static world around a town's roads: ground, buildings, greenery and street furniture, laid out by style."""

import numpy as np

from mapt_ros.synthetic.buildings import BUILDING, block
from mapt_ros.synthetic.furniture import POLE, lamp_post
from mapt_ros.synthetic.greenery import Nursery
from mapt_ros.synthetic.ground import ground
from mapt_ros.synthetic.layout import Layout
from mapt_ros.synthetic.mesh import Piece, pose
from mapt_ros.synthetic.road import Town


def scenery(town: Town, view_distance: float = 120.0) -> list[Piece]:
    """The static meshes of a town, one piece a class; the same town gives the same meshes.

    Args:
        town: the plan.
        view_distance: metres that one can see ahead from the main road's end.
    """
    layout = Layout(town, view_distance)
    parts = ground(layout, np.random.default_rng([town.seed, 1]))
    rng = np.random.default_rng([town.seed, 2])
    nursery = Nursery(rng)
    for front in layout.fronts:
        along = front.start + 1.0
        while along + 8 < front.end:
            width = rng.uniform(8, 16)
            x, y, yaw = front.road.at(along + width / 2, front.side * (front.road.frontage(front.side) + 1.0))
            turn = yaw if front.side > 0 else yaw + np.pi
            base = pose(float(x), float(y), 0.0, float(turn)) @ pose(-width / 2, 0.0)
            corners = (np.array([(0, 0), (width, 0), (width, 10), (0, 10)]) @ base[:2, :2].T) + base[:2, 3]
            if along + width < front.end + 3 and (layout.clearance(corners) > 0).all():
                parts.add(BUILDING, block(width, 10, rng.uniform(5, 14), rng), transform=base)
            along += width + 0.1
        for along in np.arange(front.start + 6.0, front.end - 3.0, 15.0):
            lateral = front.side * (front.road.half_width(front.side) + 0.5)
            x, y, yaw = (float(v) for v in front.road.at(along, lateral))
            parts.add(POLE, lamp_post(6.0, -1.2 * front.side, rng), transform=pose(x, y, 0.0, yaw))
            x, y, yaw = (float(v) for v in front.road.at(along + 7.0, lateral))
            nursery.tree(parts, x, y, 0.1, 0.45)
    return parts.pieces()
