"""Buildings: fronts with windows, doors and shops, pitched and flat roofs, several storeys."""

import numpy as np

from mapt_ros.synthetic.mesh import Material, Mesh, Texture
from mapt_ros.synthetic.shapes import boxes

BUILDING = 2

_PLASTERS = ((0.55, 0.5, 0.4), (0.5, 0.42, 0.3), (0.45, 0.44, 0.42), (0.6, 0.57, 0.5), (0.4, 0.3, 0.22))


def block(width: float, depth: float, height: float, rng: np.random.Generator) -> Mesh:
    """A plain building with its front along x at y = 0."""
    wall = Material(_PLASTERS[rng.integers(len(_PLASTERS))], Texture.WINDOWS, 2.8, (0.6, 0.6, 0.58))
    return boxes(np.array([0, 0, -0.5]), np.array([width, depth, height]), wall)
