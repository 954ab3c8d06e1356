"""The overlay: what a person is shown of a panoptic frame."""

import numpy as np
import pytest

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR, UNLABELLED
from mapt_ros.errors import InputError
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState
from mapt_ros.viz.overlay import Trails, contact_sheet, draw_overlay, track_color

CAR, ROAD = 13, 0


def instance(track_id, box, *, class_id=CAR, area=None, state=TrackState.CONFIRMED) -> TrackedInstance:
    x0, y0, x1, y1 = box
    return TrackedInstance(
        track_id=track_id,
        class_id=class_id,
        score=0.9,
        box=box,
        area=(x1 - x0) * (y1 - y0) if area is None else area,
        x=0.5 * (x0 + x1 - 1),
        y=0.5 * (y0 + y1 - 1),
        vx=0.0,
        vy=0.0,
        age=3,
        frames_since_seen=0,
        state=state,
        association=Association.MOTION,
        association_score=0.9,
    )


def frame_with(instances, *, shape=(120, 200), background=ROAD * LABEL_DIVISOR, sequence=0, epoch=0) -> PanopticFrame:
    labels = np.full(shape, background, np.int32)
    for i in instances:
        x0, y0, x1, y1 = i.box
        labels[y0:y1, x0:x1] = i.class_id * LABEL_DIVISOR + i.track_id
    return PanopticFrame(labels, list(instances), sequence=sequence, epoch=epoch)


def grey(shape=(120, 200)) -> np.ndarray:
    return np.full((*shape, 3), 100, np.uint8)


def nearer(pixel, color, other) -> bool:
    return np.abs(np.subtract(pixel, color, dtype=int)).sum() < np.abs(np.subtract(pixel, other, dtype=int)).sum()


def test_stuff_takes_its_class_colour_and_things_their_tracks():
    out = draw_overlay(
        grey(), frame_with([instance(1, (20, 60, 60, 110)), instance(2, (120, 60, 160, 110))]), KITTI_STEP
    )
    assert out.shape == (120, 200, 3)
    assert out.dtype == np.uint8
    road = np.array(KITTI_STEP.by_id[ROAD].color)
    assert np.sign(out[90, 90].astype(int) - 100).tolist() == np.sign(road - 100).tolist()
    assert nearer(out[80, 40], track_color(1), track_color(2))
    assert nearer(out[80, 140], track_color(2), track_color(1))


def test_input_is_left_as_it_was():
    image, frame = grey(), frame_with([instance(1, (20, 60, 60, 110))])
    labels = frame.labels.copy()
    draw_overlay(image, frame, KITTI_STEP, trails=Trails(), scale=2.0)
    assert (image == 100).all()
    assert np.array_equal(frame.labels, labels)


def test_unlabelled_pixels_show_the_image_itself():
    out = draw_overlay(grey(), frame_with([], background=UNLABELLED), KITTI_STEP)
    assert np.array_equal(out, grey())


def test_tag_stays_inside_the_picture_and_off_other_tags():
    """Two things at one place get two readable tags, also at the upper edge and in the corner."""
    alone = draw_overlay(grey(), frame_with([instance(1, (90, 60, 120, 110))]), KITTI_STEP)
    pair = frame_with([instance(1, (90, 60, 120, 110)), instance(2, (92, 60, 118, 105))])
    both = draw_overlay(grey(), pair, KITTI_STEP)
    solid = [(both == track_color(i)).all(axis=-1).sum() for i in (1, 2)]
    assert min(solid) >= 0.5 * (alone == track_color(1)).all(axis=-1).sum()
    corner = draw_overlay(grey(), frame_with([instance(3, (190, 0, 200, 8))]), KITTI_STEP)
    tag = (corner == track_color(3)).all(axis=-1)
    assert tag.sum() > 200
    assert np.ptp(np.nonzero(tag)[1]) > 25, "the whole tag, not a clipped end of it"


def test_lost_tracks_are_not_drawn():
    lost = instance(4, (20, 60, 60, 110), area=0, state=TrackState.LOST)
    road = frame_with([])
    with_lost = PanopticFrame(road.labels, [lost])
    assert np.array_equal(draw_overlay(grey(), with_lost, KITTI_STEP), draw_overlay(grey(), road, KITTI_STEP))


def test_legend_names_only_what_is_there():
    none = draw_overlay(grey((120, 400)), frame_with([], shape=(120, 400), background=UNLABELLED), KITTI_STEP)
    road = draw_overlay(grey((120, 400)), frame_with([], shape=(120, 400)), KITTI_STEP)
    mixed = frame_with([], shape=(120, 400))
    mixed.labels[:60] = 10 * LABEL_DIVISOR
    both = draw_overlay(grey((120, 400)), mixed, KITTI_STEP)

    def letters(picture):
        return (picture[:16] > 240).all(axis=-1).sum()

    assert letters(none) == 0
    assert 0 < letters(road) < letters(both)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 3.7])
def test_scale_sizes_the_picture_and_keeps_things_in_place(scale):
    out = draw_overlay(grey(), frame_with([instance(1, (40, 60, 80, 110))]), KITTI_STEP, scale=scale)
    assert out.shape[:2] == (round(120 * scale), round(200 * scale))
    contour = (np.abs(out.astype(int) - track_color(1)).sum(axis=-1) < 60) & (
        np.arange(out.shape[0])[:, None] > 85 * scale
    )
    rows, columns = np.nonzero(contour)
    assert abs(columns.min() - 40 * scale) <= 2 + scale
    assert abs(columns.max() - 80 * scale) <= 2 + scale
    assert abs(rows.max() - 110 * scale) <= 2 + scale


def test_classes_the_set_does_not_know_are_drawn_grey_and_by_number():
    frame = frame_with([instance(1, (20, 60, 60, 110), class_id=77)], background=99 * LABEL_DIVISOR)
    out = draw_overlay(grey(), frame, KITTI_STEP)
    assert np.ptp(out[100, 150]) == 0
    assert nearer(out[80, 40], track_color(1), (100, 100, 100))


def test_empty_frame_of_one_pixel_and_huge_ids_are_drawn():
    assert draw_overlay(grey((1, 1)), frame_with([], shape=(1, 1)), KITTI_STEP).shape == (1, 1, 3)
    huge = instance(LABEL_DIVISOR - 1, (20, 60, 60, 110))
    out = draw_overlay(grey(), frame_with([huge]), KITTI_STEP)
    assert nearer(out[80, 40], track_color(LABEL_DIVISOR - 1), (100, 100, 100))


@pytest.mark.parametrize(
    ("image", "scale", "message"),
    [
        (grey((60, 200)), 1.0, "the image is 60x200 .* but the label map is 120x200"),
        (grey()[..., 0], 1.0, "needs HxWx3 uint8"),
        (grey().astype(np.float32), 1.0, "needs HxWx3 uint8"),
        (grey(), 0.0, "scale 0.0 is out of range"),
        (grey(), -1.0, "scale -1.0 is out of range"),
    ],
)
def test_bad_input_is_one_clear_line(image, scale, message):
    with pytest.raises(InputError, match=message) as raised:
        draw_overlay(image, frame_with([]), KITTI_STEP, scale=scale)
    assert "\n" not in str(raised.value)


def test_track_colours_are_stable_and_far_apart_for_neighbouring_ids():
    assert track_color(7) == (71, 255, 185)  # in any process, and in the markers of other ones
    colors = np.array([track_color(i) for i in range(1, 200)], int)
    for step in range(1, 5):
        distance = np.abs(colors[step:] - colors[:-step]).sum(axis=1)
        assert distance.min() > 60, f"ids {step} apart"


def test_trails_keep_the_last_points_of_each_track_of_the_epoch():
    trails = Trails(length=5)
    for n in range(8):
        trails.update(frame_with([instance(1, (10 + n, 60, 30 + n, 100))], sequence=n))
    points = trails.points(0, 1)
    assert points.shape == (5, 2)
    assert points[-1].tolist() == [26.5, 79.5]
    assert (np.diff(points[:, 0]) > 0).all()
    assert trails.points(0, 99).shape == (0, 2)
    trails.update(frame_with([instance(1, (50, 60, 70, 100))], sequence=0, epoch=1))
    assert len(trails.points(1, 1)) == 1, "the same number in another epoch is another track"
    assert len(trails.points(0, 1)) == 0


def test_trails_do_not_grow_with_the_drive():
    trails = Trails(length=10)
    for n in range(300):
        trails.update(frame_with([instance(n + 1, (10, 60, 30, 100))], shape=(110, 40), sequence=n))
    assert len(trails) <= 11


def test_a_trail_is_drawn_where_the_track_came_from():
    trails = Trails()
    for n in range(20):
        frame = frame_with([instance(1, (20 + 5 * n, 60, 50 + 5 * n, 100))], sequence=n)
        trails.update(frame)
    without, drawn = (draw_overlay(grey(), frame, KITTI_STEP, trails=t) for t in (None, trails))
    changed = np.nonzero((without != drawn).any(axis=-1))
    assert 30 <= changed[1].min() <= 45
    assert 75 <= changed[0].min()
    assert changed[0].max() <= 85


def test_contact_sheet_holds_every_image_in_reading_order():
    images = [np.full((10 + n, 20, 3), 40 * n, np.uint8) for n in range(5)]
    sheet = contact_sheet(images, 2)
    assert sheet.shape == (3 * (14 + 4) + 4, 2 * 24 + 4, 3)
    for n in range(5):
        row, column = divmod(n, 2)
        assert (sheet[4 + row * 18 + 7, 4 + column * 24 + 10] == 40 * n).all()
    assert contact_sheet(images[:1], 4).shape == (18, 28, 3)


@pytest.mark.parametrize(("images", "columns"), [([], 2), ([grey()], 0), ([grey()[..., 0]], 1)])
def test_contact_sheet_of_nothing_is_one_clear_line(images, columns):
    with pytest.raises(InputError, match="contact sheet"):
        contact_sheet(images, columns)
