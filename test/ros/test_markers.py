"""Instances stand where the ground plane says, and markers never outlive their tracks."""

from math import radians

import numpy as np
import pytest

pytest.importorskip("rclpy")

from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from mapt_ros.data.labels import KITTI_STEP
from mapt_ros.ros.markers import GroundCamera, GroundTrails, clear_markers, track_markers
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState

KITTI_K = [721.5, 0.0, 609.6, 0.0, 721.5, 172.9, 0.0, 0.0, 1.0]
HEADER = Header(frame_id="camera")


def camera(pitch: float = 0.0) -> GroundCamera:
    return GroundCamera.from_matrix(KITTI_K, height=1.65, pitch=pitch)


def project(point: np.ndarray) -> tuple[float, float]:
    return 721.5 * point[0] / point[2] + 609.6, 721.5 * point[1] / point[2] + 172.9


def car(**changed) -> TrackedInstance:
    values = {
        "track_id": 7,
        "class_id": 13,
        "score": 0.9,
        "box": (600, 180, 660, 230),
        "area": 2000,
        "x": 630.0,
        "y": 205.0,
        "vx": 0.0,
        "vy": 0.0,
        "age": 3,
        "frames_since_seen": 0,
        "state": TrackState.CONFIRMED,
        "association": Association.MOTION,
        "association_score": 0.8,
    }
    return TrackedInstance(**{**values, **changed})


def frame(*instances: TrackedInstance, sequence: int = 0, epoch: int = 0) -> PanopticFrame:
    return PanopticFrame(np.zeros((1, 1), np.int32), list(instances), None, sequence, epoch)


def drawn(*instances: TrackedInstance) -> list[Marker]:
    return track_markers(frame(*instances), camera(), KITTI_STEP, HEADER, trails=GroundTrails()).markers


@pytest.mark.parametrize("pitch", [0.0, radians(5), radians(-2)])
@pytest.mark.parametrize(("side", "distance"), [(0.0, 8.0), (-3.5, 20.0), (6.0, 60.0)])
def test_point_on_the_ground_is_found_again_from_its_pixel(pitch, side, distance):
    view = camera(pitch)
    forward = np.array([0.0, -np.sin(pitch), np.cos(pitch)])
    point = np.array([side, 0.0, 0.0]) + view.down * 1.65 + forward * distance
    assert view.ground_point(*project(point)) == pytest.approx(point, abs=1e-6)


@pytest.mark.parametrize("row", [0.0, 172.9, 175.0])
def test_horizon_and_sky_have_no_place_on_the_ground(row):
    assert camera().ground_point(600.0, row) is None


def test_uncalibrated_camera_gives_no_geometry():
    assert GroundCamera.from_matrix([0.0] * 9, height=1.65, pitch=0.0) is None


def test_box_stands_on_the_ground_under_the_image_box():
    markers = drawn(car())
    (box,) = [m for m in markers if m.ns == "box"]
    foot = camera().ground_point(630.0, 230.0)
    assert box.header == HEADER and box.id == 7
    assert (box.pose.position.x, box.pose.position.z) == pytest.approx((foot[0], foot[2]))
    assert box.pose.position.y + box.scale.y / 2 == pytest.approx(1.65)
    assert (box.scale.x, box.scale.y) == pytest.approx((60 * foot[2] / 721.5, 50 * foot[2] / 721.5))
    (text,) = [m for m in markers if m.ns == "text"]
    assert text.text == "car 7"
    assert text.pose.position.y < box.pose.position.y - box.scale.y / 2


def test_arrow_points_where_the_instance_drives_in_metres_per_second():
    # Straight ahead at 20 m, driving away at 10 m/s: 19 m and 21 m are 0.2 s apart.
    near, far = (project(np.array([0.0, 1.65, z])) for z in (20.0, 21.0))
    moving = car(box=(580, 180, 640, round(near[1])), vx=0.0, vy=(far[1] - near[1]) / 0.1)
    (arrow,) = [m for m in drawn(moving) if m.ns == "velocity"]
    start, end = arrow.points
    assert end.z - start.z == pytest.approx(10.0, rel=0.05)
    assert end.y == pytest.approx(start.y)


def test_resting_or_new_instance_has_no_arrow():
    assert {m.ns for m in drawn(car())} == {"", "box", "text"}


def test_instance_above_the_horizon_is_left_out():
    (only,) = drawn(car(box=(600, 20, 640, 60)))
    assert only.action == Marker.DELETEALL


def test_every_array_clears_what_came_before():
    for markers in (clear_markers(HEADER).markers, drawn(car())):
        assert markers[0].action == Marker.DELETEALL
        assert all(m.action == Marker.ADD for m in markers[1:])


def test_lost_track_is_drawn_fainter():
    alphas = [drawn(car(state=state))[1].color.a for state in (TrackState.CONFIRMED, TrackState.LOST)]
    assert alphas[1] < alphas[0]


def test_trail_lies_on_the_ground_and_does_not_outlive_its_epoch_or_its_track():
    trails, view = GroundTrails(length=5), camera()
    for step in range(8):
        trails.update(frame(car(box=(600, 180, 660, 230 - step)), sequence=step), view)
    points = trails.points(7)
    assert len(points) == 5
    assert [p[1] for p in points] == pytest.approx([1.65] * 5)
    assert points[-1][2] > points[0][2]  # higher in the image is further away
    last = frame(car(box=(600, 180, 660, 223)), sequence=7)
    (trail,) = [m for m in track_markers(last, view, KITTI_STEP, HEADER, trails=trails).markers if m.ns == "trail"]
    assert [p.z for p in trail.points] == pytest.approx([p[2] for p in points])
    trails.update(frame(sequence=13), view)
    assert not len(trails.points(7))
    trails.update(frame(car(), sequence=14), view)
    trails.update(frame(car(), epoch=1), view)
    assert len(trails.points(7)) == 1
