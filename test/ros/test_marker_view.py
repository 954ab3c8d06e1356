"""The picture that stands for RViz's shows the markers where RViz's camera would, in their colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")

from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.errors import InputError
from mapt_ros.replay.bags import BagWriter
from mapt_ros.replay.sinks import BagSink
from mapt_ros.replay.sources import SourceFrame
from mapt_ros.resources import resource
from mapt_ros.ros.marker_view import OrbitView, draw_markers, draw_run, draw_view, main
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState
from mapt_ros.viz.overlay import track_color

SIZE = 640, 480
CENTER = SIZE[1] // 2, SIZE[0] // 2  # row, column
RED = ColorRGBA(r=1.0, a=1.0)


@pytest.fixture(scope="module")
def rviz() -> dict:
    return yaml.safe_load(Path(resource("config/mapt.rviz")).read_text())["Visualization Manager"]


def orbit(yaw: float = 0.0, pitch: float = 0.0, distance: float = 10.0) -> OrbitView:
    return OrbitView({"Focal Point": {"X": 1, "Y": 2, "Z": 3}, "Yaw": yaw, "Pitch": pitch, "Distance": distance}, SIZE)


def cube(x: float, y: float, z: float, *, side: float = 1.0, **fields) -> Marker:
    pose = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0))
    marker = Marker(type=Marker.CUBE, pose=pose, scale=Vector3(x=side, y=side, z=side), color=RED)
    for name, value in fields.items():
        setattr(marker, name, value)
    return marker


def drawn(*markers: Marker) -> np.ndarray:
    """Where anything was drawn."""
    canvas = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    draw_markers(canvas, markers, orbit())
    return canvas


@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (4.712, -0.6), (2.0, 1.2)])
def test_focal_point_is_in_the_middle_at_its_distance(yaw, pitch):
    pixels, depths = orbit(yaw, pitch).project((1, 2, 3))
    assert pixels[0] == pytest.approx((320, 240)) and depths[0] == pytest.approx(10.0)


def test_z_is_up_and_what_is_nearer_is_larger():
    """Yaw 0 looks along -x from +x, as RViz's orbit does."""
    view = orbit()
    (above, left, _), depths = view.project([(1, 2, 4), (1, 1, 3), (30, 2, 3)])
    assert above[0] == pytest.approx(320) and above[1] < 240
    assert left[0] < 320 and left[1] == pytest.approx(240)
    assert depths[2] < 0
    near, far = (view.project([(x, 2, 4)])[0][0] for x in (6, -6))
    assert 240 - near[1] > 240 - far[1] > 0


def test_markers_are_drawn_in_their_colour_the_nearest_on_top():
    blue = cube(4, 2, 3, color=ColorRGBA(b=1.0, a=1.0))
    canvas = drawn(blue, cube(1, 2, 3, side=2.0))
    assert canvas[CENTER][2] > 100 and canvas[CENTER][0] == 0
    assert (canvas[..., 0] > 100).any()  # the larger one behind it


def test_what_is_deleted_or_behind_the_eye_is_not_drawn():
    assert not drawn(cube(1, 2, 3, action=Marker.DELETEALL)).any()
    assert not drawn(cube(50, 2, 3)).any()


@pytest.mark.parametrize("kind", [Marker.LINE_STRIP, Marker.ARROW])
def test_trails_and_arrows_go_through_their_points(kind):
    points = [Point(x=1.0, y=1.0, z=3.0), Point(x=1.0, y=3.0, z=3.0)]
    canvas = drawn(Marker(type=kind, points=points, color=RED))
    assert canvas[CENTER][0] > 100
    assert canvas[..., 0].any(axis=1).sum() < canvas[..., 0].any(axis=0).sum()  # it lies flat


def test_ground_of_the_configuration_is_seen_from_above_the_far_end_on_top(rviz):
    picture = draw_view(rviz, [], SIZE)
    lines = (picture != picture[0, 0]).any(axis=-1)
    assert lines[:240].sum() > lines[240:].sum() > 0  # denser with the distance


def test_recorded_run_is_shown_with_overlay_and_markers(tmp_path, monkeypatch, capsys):
    labels = np.full((96, 160), LABEL_DIVISOR * 8, np.int32)
    labels[40:80, 60:100] = LABEL_DIVISOR * 13 + 7
    car = TrackedInstance(
        track_id=7,
        class_id=13,
        score=0.9,
        box=(60, 40, 100, 80),
        area=1600,
        x=80.0,
        y=60.0,
        vx=0.0,
        vy=0.0,
        age=2,
        frames_since_seen=0,
        state=TrackState.CONFIRMED,
        association=Association.MOTION,
        association_score=0.8,
    )
    projection = np.array([[100.0, 0, 80, 0], [0, 100, 40, 0], [0, 0, 1, 0]])
    answers = BagSink(tmp_path / "panoptic")
    with BagWriter(tmp_path / "scene", topic="/image") as scene:
        for number in range(2):
            stamp_ns = 10**18 + number * 10**8
            image = np.full((96, 160, 3), 90, np.uint8)
            scene.write_camera_info(160, 96, stamp_ns, projection=projection)
            scene.write_image(image, stamp_ns)
            frame = PanopticFrame(labels, [car], stamp_ns, number)
            answers.write("scene", SourceFrame(image, stamp_ns, number, str(number), "camera"), frame, 1.0)
    answers.close()

    picture = draw_run(tmp_path, -1)
    overlay, view = picture[:192], picture[192:]
    color = np.array(track_color(7)) / 255
    tinted = overlay[120, 160] / 255  # within the car, at twice the image's size
    assert np.corrcoef(tinted, color)[0, 1] > 0.9
    pixels = view.reshape(-1, 3) / 255
    bright = pixels[np.ptp(pixels, axis=1) > 0.3]
    assert len(bright) > 20  # the car's box; ground and background are grey
    with pytest.raises(InputError, match="frame 2 of 2"):
        draw_run(tmp_path, 2)

    def run(out: Path) -> int:
        monkeypatch.setattr("sys.argv", ["marker_view", str(tmp_path), str(out)])
        return main()

    assert run(tmp_path / "view.png") == 0
    assert (cv2.imread(str(tmp_path / "view.png"))[..., ::-1] == picture).all()
    assert run(tmp_path / "none" / "view.png") == 2
    assert "none/view.png: cannot be written" in capsys.readouterr().err
