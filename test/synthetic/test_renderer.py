"""The renderer: labels to the pixel, light from the right side, and pictures that depend on the arguments alone."""

from dataclasses import replace

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.synthetic.mesh import GAP, Material, Piece, Texture, joined, one_material, pose
from mapt_ros.synthetic.renderer import Renderer
from mapt_ros.synthetic.view import Camera, Sensor, Weather

ROAD, BUILDING, FENCE, VEGETATION, SKY, CAR = 0, 2, 4, 8, 10, 13
CAMERA = Camera(height=96, width=320, focal=180.0, center=(155.3, 44.7), mounting_height=1.65)
PLAIN_SENSOR = Sensor(exposure=0.8, blur=0.0, noise=0.0, vignette=0.0)


def weather(**changes) -> Weather:
    return replace(Weather(np.pi / 2, 0.7, 1.0, 0.0, (1.0, 0.95, 0.9), (0.5, 0.7, 1.0), 0.2, 3000.0, 5), **changes)


def rectangle(a, b, c, d, class_id, track_id=0, material=None) -> Piece:
    material = material or Material((0.3, 0.3, 0.3))
    return Piece(one_material(np.array([a, b, c, d]), np.array([[0, 1, 2], [0, 2, 3]]), material), class_id, track_id)


def ground(material: Material | None = None) -> Piece:
    return rectangle((-20, -4000, 0), (2000, -4000, 0), (2000, 4000, 0), (-20, 4000, 0), ROAD, 0, material)


def upright(x, left, right, low, high, class_id=CAR, track_id=7, material=None) -> Piece:
    """A board across the view at ``x`` metres."""
    corners = (x, left, low), (x, right, low), (x, right, high), (x, left, high)
    return rectangle(*corners, class_id, track_id, material)


def places(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """How far left and up each pixel's ray has gone after a metre."""
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    return (camera.center[0] - columns) / camera.focal, (camera.center[1] - rows) / camera.focal


@pytest.mark.parametrize("moves", [False, True])
def test_labels_are_those_of_the_pinhole_geometry(moves):
    board = upright(10.0, 1.0, -2.0, 0.5, 2.0)
    hidden = upright(12.0, 0.5, -0.5, 0.6, 1.5, track_id=8)
    pieces = [board, hidden]
    renderer = Renderer([ground()] + ([] if moves else pieces), CAMERA, weather())
    labels = renderer.render(pieces if moves else [], np.eye(4), PLAIN_SENSOR, 0).labels
    left, up = places(CAMERA)
    height = CAMERA.mounting_height + 10 * up
    expected = np.where(up * 2000 < -CAMERA.mounting_height, ROAD, SKY) * LABEL_DIVISOR
    on_board = (10 * left < 1) & (10 * left > -2) & (height > 0.5) & (height < 2)
    expected[on_board] = CAR * LABEL_DIVISOR + 7
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == np.int32


def test_no_gaps_between_triangles_that_share_corners():
    steps = np.arange(0, 121, dtype=np.float32)
    x, y = np.meshgrid(steps * 0.5, (steps - 60) * 0.5)
    z = 0.02 * np.sin(3 * x) * np.cos(2 * y)
    vertices = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    corner = (np.arange(120)[:, None] * 121 + np.arange(120)).ravel()
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + 122], 1), np.stack([corner, corner + 122, corner + 121], 1)]
    )
    field = Piece(one_material(vertices, faces, Material((0.2, 0.2, 0.2))), ROAD)
    labels = Renderer([field], CAMERA, weather()).render([], np.eye(4), PLAIN_SENSOR, 0).labels
    left, up = places(CAMERA)
    reach = CAMERA.mounting_height / np.maximum(-up, 1e-9)
    inside = (up < 0) & (reach < 58) & (np.abs(left * reach) < 29)
    assert inside.sum() > 5000
    assert (labels[inside] == ROAD).all()


def test_pitch_looks_down():
    nodding = Camera(96, 320, 180.0, (155.3, 44.7), 1.65, pitch=0.1)
    labels = Renderer([ground()], nodding, weather()).render([], np.eye(4), PLAIN_SENSOR, 0).labels
    horizon = 44.7 - 180 * np.tan(0.1)
    assert (labels[: int(horizon) - 1] == SKY * LABEL_DIVISOR).all()
    assert (labels[int(horizon) + 3 :] == ROAD).all()


def test_same_arguments_same_bytes():
    scenery = [ground(Material((0.1, 0.1, 0.1), Texture.ASPHALT)), upright(20, 8, 3, 0, 6, BUILDING, 0)]
    car = upright(8, 1, -1, 0.2, 1.5, material=Material((0.4, 0.02, 0.02), gloss=0.05))
    sensor, motion = Sensor(jpeg_quality=80, shutter=0.3), pose(1.0, 0, yaw=0.02)

    def frame(renderer: Renderer):
        return renderer.render([car], pose(1, 0.5, yaw=0.05), sensor, 3, motion)

    renderer = Renderer(scenery, CAMERA, weather(sun_softness=0.02))
    first = frame(renderer)
    renderer.render([], np.eye(4), sensor, 9)
    for again in (frame(renderer), frame(Renderer(scenery, CAMERA, weather(sun_softness=0.02)))):
        assert first.image.tobytes() == again.image.tobytes()
        assert first.labels.tobytes() == again.labels.tobytes()


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("moves", [False, True])
def test_shadow_falls_away_from_the_sun(side, moves):
    # A wall along the road; the sun stands to the left (+1) or to the right of it.
    wall = rectangle((6, 0, 0), (14, 0, 0), (14, 0, 2), (6, 0, 2), BUILDING)
    renderer = Renderer([ground()] + [wall] * (not moves), CAMERA, weather(sun_azimuth=side * np.pi / 2))
    image = renderer.render([wall] * moves, np.eye(4), PLAIN_SENSOR, 0).image.mean(axis=2)
    row = int(44.7 + 180 * 1.65 / 9)

    def brightness(y: float) -> float:
        return image[row, round(155.3 - 180 * y / 9)]

    assert brightness(-side * 1.0) < 0.6 * brightness(side * 1.0)
    assert brightness(-side * 4.5) > 0.9 * brightness(side * 1.0)


def test_it_is_darker_under_a_roof_than_beside_it_on_a_dull_day():
    roof = rectangle((6, -1, 0.4), (12, -1, 0.4), (12, 1, 0.4), (6, 1, 0.4), CAR, 1)
    low = Camera(96, 320, 180.0, (155.3, 30.0), 0.3)
    image = Renderer([ground()], low, weather(sun=0.0)).render([roof], np.eye(4), PLAIN_SENSOR, 0).image
    row = int(30 + 180 * 0.3 / 8.5) + 1
    assert image[row, 150:160].mean() < 0.7 * image[row, 20:40].mean()


def test_haze_takes_the_contrast_of_what_is_far():
    boards = [upright(15, 3, 1, 0, 4, BUILDING, 0), upright(150, -10, -30, 0, 40, BUILDING, 0)]

    def near_and_far(haze: float) -> tuple[float, float]:
        image = Renderer([ground(), *boards], CAMERA, weather(haze=haze)).render([], np.eye(4), PLAIN_SENSOR, 0).image
        return image[30:40, 132:140].mean(), image[25:35, 170:185].mean()

    clear, hazy = near_and_far(1e6), near_and_far(120.0)
    assert hazy[1] - clear[1] > 40
    assert hazy[1] - clear[1] > 3 * abs(hazy[0] - clear[0])


def test_edges_are_mixed_in_the_picture_but_not_in_the_labels():
    board = upright(10, 1.01, -1.01, -1, 30, BUILDING, 0, Material((0.01, 0.01, 0.01)))
    frame = Renderer([board], CAMERA, weather()).render([], pose(0, 0, yaw=0.02), PLAIN_SENSOR, 0)
    values = np.unique(frame.image[:, :, 1])
    assert ((values > 70) & (values < 180)).any()
    assert set(np.unique(frame.labels)) == {BUILDING * LABEL_DIVISOR, SKY * LABEL_DIVISOR}


def test_foliage_has_gaps_from_near_and_none_from_afar():
    leaves = Material((0.06, 0.12, 0.03), Texture.LEAVES, 0.6)

    def share_of_sky(x: float, size: float) -> float:
        crown = upright(x, size, -size, 1.65 - size, 1.65 + size, VEGETATION, 0, leaves)
        frame = Renderer([crown], CAMERA, weather()).render([], np.eye(4), PLAIN_SENSOR, 0)
        assert (frame.labels[40:50, 150:160] == VEGETATION * LABEL_DIVISOR).all()
        return (frame.image[40:50, 150:160, 2] > 150).mean()

    assert 0.03 < share_of_sky(3, 2) < 0.7
    assert share_of_sky(90, 60) == 0


@pytest.mark.parametrize("moves", [False, True])
def test_gaps_belong_to_what_is_in_front_but_are_seen_through(moves):
    bars = [upright(10.0, y, y - 0.2, 0.5, 2.0, FENCE, 0) for y in (1.0, -0.8)]
    gap = upright(10.0, 0.8, -0.8, 0.5, 2.0, FENCE, 0, GAP)
    nearer, behind = upright(8.0, 0.3, -0.3, 0.5, 2.0), upright(12.0, 2.0, 0.0, 0.5, 2.0, track_id=8)

    def frame(*fence: Piece):
        fence = [Piece(joined([piece.mesh for piece in fence]), FENCE)]
        still, moving = ([], fence) if moves else (fence, [])
        renderer = Renderer([ground(), *still, nearer], CAMERA, weather())
        return renderer.render([*moving, behind], np.eye(4), PLAIN_SENSOR, 0)

    open_, closed = frame(*bars), frame(*bars, gap)
    np.testing.assert_array_equal(open_.image, closed.image)
    left, up = places(CAMERA)
    level = np.abs(up + 0.05) < 0.05
    row, label = level & (np.abs(10 * left) < 0.75), FENCE * LABEL_DIVISOR
    hidden = np.abs(8 * left) < 0.3
    assert (closed.labels[row & ~hidden] == label).all() and (open_.labels[row & ~hidden] != label).all()
    assert (closed.labels[row & hidden] == CAR * LABEL_DIVISOR + 7).all()
    assert (open_.labels == CAR * LABEL_DIVISOR + 8).sum() > (closed.labels == CAR * LABEL_DIVISOR + 8).sum() > 0


def test_paint_mirrors_the_sky():
    def hood(gloss: float) -> np.ndarray:
        bonnet = rectangle((3, -2, 1), (9, -2, 1), (9, 2, 1), (3, 2, 1), CAR, 1, Material((0.01,) * 3, gloss=gloss))
        image = Renderer([], CAMERA, weather(sun=0.0)).render([bonnet], np.eye(4), PLAIN_SENSOR, 0).image
        return image[62:66, 150:160].mean()

    assert hood(0.05) > 2 * hood(0.0) > 0


def test_a_lamp_shines_in_the_shade():
    lamp = Material((0.5, 0.01, 0.01), emission=1.0)
    dark = Material((0.5, 0.01, 0.01))
    both = [upright(5, 1, 0, 1, 2, material=lamp), upright(5, 0, -1, 1, 2, track_id=8, material=dark)]
    image = Renderer([ground()], CAMERA, weather(sun=0.0)).render(both, np.eye(4), PLAIN_SENSOR, 0).image
    assert image[45, 140, 0] > image[45, 170, 0] + 20


def test_nothing_to_see_is_sky():
    frame = Renderer([], CAMERA, weather()).render([], np.eye(4), PLAIN_SENSOR, 0)
    assert (frame.labels == SKY * LABEL_DIVISOR).all()
    assert frame.image.shape == (96, 320, 3) and frame.image.dtype == np.uint8
