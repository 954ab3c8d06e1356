"""Moving pieces out of view are dropped only where neither they nor their shadows can be seen."""

import numpy as np

from mapt_ros.synthetic.culling import pixels_covered, within_sight
from mapt_ros.synthetic.mesh import Material, Piece, one_material, pose
from mapt_ros.synthetic.view import Camera

CAMERA = Camera(96, 320, 180.0, (160.0, 45.0))
HIGH_SUN = np.array([0.0, 0.0, 1.0])


def block(x: float, y: float) -> Piece:
    corners = np.array([(dx, dy, z) for dx in (-1, 1) for dy in (-1, 1) for z in (0, 1.5)], float) + (x, y, 0)
    return Piece(one_material(corners, np.array([[0, 1, 2], [5, 6, 7]]), Material((0.5, 0.5, 0.5))), 13, 1)


def test_what_is_behind_or_beside_goes_and_what_is_ahead_stays():
    pieces = [block(-10, 0), block(20, 0), block(5, 40), block(0.5, 0)]
    kept, boxes = within_sight(pieces, CAMERA, pose(0, 0, 1.65), HIGH_SUN)
    assert [p is q for p, q in zip(kept, [pieces[1], pieces[3]], strict=True)] == [True, True]
    assert pixels_covered(boxes[:1], CAMERA).mean() < 0.05
    assert pixels_covered(boxes, CAMERA).all()  # one stands around the camera


def test_a_piece_behind_the_camera_stays_when_its_shadow_falls_ahead():
    low_sun_behind = np.array([-np.cos(0.1), 0, np.sin(0.1)])
    assert not within_sight([block(-6, 0)], CAMERA, pose(0, 0, 1.65), HIGH_SUN)[0]
    assert len(within_sight([block(-6, 0)], CAMERA, pose(0, 0, 1.65), low_sun_behind)[0]) == 1
