"""Things that stand beside the road: lamp posts, signs, traffic lights, fences, walls, and bridges across it."""

import numpy as np

from mapt_ros.synthetic.mesh import Material, Mesh, Texture, joined
from mapt_ros.synthetic.shapes import boxes, tubes

WALL, FENCE, POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN = 3, 4, 5, 6, 7

_STEEL = Material((0.3, 0.31, 0.32), Texture.PLAIN, gloss=0.05)


def lamp_post(height: float, arm: float, rng: np.random.Generator) -> Mesh:
    """A street lamp at the origin whose arm of ``arm`` metres points along y."""
    steps = np.array([(0, 0, -0.1), (0, 0, 1.0), (0, 0, height - 0.6), (0, 0.25 * arm, height - 0.1), (0, arm, height)])
    post = tubes(steps[None], np.array([0.1, 0.085, 0.06, 0.05, 0.045]), _STEEL, 6)
    low = np.array([-0.13, arm - 0.1, height - 0.05])
    return joined([post, boxes(low, low + (0.26, 0.7, 0.12), _STEEL, bottom=True)])
