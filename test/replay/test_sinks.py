"""Results land in the formats that other tools read, under their final names, and nowhere else."""

import dataclasses
import json

import av
import numpy as np
import pytest

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR, step_png_to_labels
from mapt_ros.errors import InputError
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.replay.sinks import BagSink, StepSink, TracksSink, VideoSink
from mapt_ros.replay.sources import SourceFrame, read_image
from mapt_ros.viz.overlay import draw_overlay


def _results(pictures, tracker, stamps=None):
    stamps = stamps or [10**9 + t * 10**8 for t in range(len(pictures))]
    for t, (image, stamp) in enumerate(zip(pictures, stamps, strict=True)):
        yield SourceFrame(image, stamp, t, f"{t}", "front"), tracker(image, stamp)


def test_maps_read_back_as_the_same_labels(tmp_path, pictures, colour_tracker):
    sink = StepSink(tmp_path)
    for source, frame in _results(pictures, colour_tracker(first_id=300)):
        sink.write("0002", source, frame, 1.0)
        png = read_image(tmp_path / "panoptic_maps" / "0002" / f"{source.index:06d}.png")
        np.testing.assert_array_equal(step_png_to_labels(png), frame.labels)
    assert len(list(tmp_path.rglob("*"))) == 2 + len(pictures)  # no partial files


def test_an_id_beyond_16_bits_is_refused(tmp_path, pictures, colour_tracker):
    ((source, frame),) = _results(pictures[:1], colour_tracker(first_id=70000))
    with pytest.raises(InputError, match="track id 70000 does not fit"):
        StepSink(tmp_path).write("0002", source, frame, 1.0)
    assert list(tmp_path.rglob("*.png")) == []


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "..", "", "a/b", ".hidden"])
def test_no_sequence_name_leads_out_of_the_folder(tmp_path, pictures, colour_tracker, name):
    ((source, frame),) = _results(pictures[:1], colour_tracker())
    StepSink(tmp_path / "deep" / "out").write(name, source, frame, 1.0)
    (png,) = tmp_path.rglob("*.png")
    assert png.resolve().parent.parent == (tmp_path / "deep" / "out" / "panoptic_maps").resolve()


def test_tracks_have_every_field_with_enumerations_by_name(tmp_path, pictures, colour_tracker):
    sink = TracksSink(tmp_path)
    results = list(_results(pictures, colour_tracker()))
    for source, frame in results:
        sink.write("0002", source, frame, 1.0)
    assert not (tmp_path / "tracks.jsonl").exists()
    sink.close()
    lines = [json.loads(line) for line in (tmp_path / "tracks.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(6))
    for line, (source, frame) in zip(lines, results, strict=True):
        assert line["sequence"] == "0002"
        assert line["stamp_ns"] == source.stamp_ns
        (instance,) = frame.instances
        expected = dataclasses.asdict(instance) | {"box": list(instance.box)}
        expected |= {"state": instance.state.name, "association": instance.association.name}
        assert line["instances"] == [expected]


def _bag(path, results):
    sink = BagSink(path)
    for source, frame in results:
        sink.write("0002", source, frame, 12.5)
    sink.close()
    return [message for _, message in BagReader(path).messages("/mapt/panoptic")]


def test_the_bag_has_every_field_of_the_message_under_the_images_header(tmp_path, pictures, colour_tracker):
    results = list(_results(pictures, colour_tracker(first_id=70000)))
    messages = _bag(tmp_path / "bag", results)
    assert len(messages) == 6
    for message, (source, frame) in zip(messages, results, strict=True):
        for header in (message.header, message.labels.header):
            assert header.stamp.sec * 10**9 + header.stamp.nanosec == source.stamp_ns
            assert header.frame_id == "front"
        assert (message.camera, message.sequence, message.epoch) == ("", frame.sequence, frame.epoch)
        assert (message.label_divisor, message.processing_ms) == (LABEL_DIVISOR, 12.5)
        labels = message.labels
        assert (labels.encoding, labels.step, labels.is_bigendian) == ("32SC1", 62 * 4, 0)
        np.testing.assert_array_equal(labels.data.view(np.int32).reshape(35, 62), frame.labels)
        ((sent, instance),) = zip(message.instances, frame.instances, strict=True)
        x0, y0, x1, y1 = instance.box
        assert (sent.box.x_offset, sent.box.y_offset, sent.box.width, sent.box.height) == (x0, y0, x1 - x0, y1 - y0)
        for field in dataclasses.fields(instance):
            if field.name != "box":
                assert getattr(sent, field.name) == pytest.approx(getattr(instance, field.name)), field.name


def test_a_bag_sink_that_saw_nothing_leaves_nothing(tmp_path):
    BagSink(tmp_path / "bag").close()
    assert list(tmp_path.iterdir()) == []


def _decode(path):
    with av.open(str(path)) as container:
        return [(round(f.pts * f.time_base * 1000), f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def test_the_video_shows_every_frame_at_its_time(tmp_path, pictures, colour_tracker):
    sink = VideoSink(tmp_path / "overlay.mp4", KITTI_STEP)
    stamps = [0, 10**8, 3 * 10**8, 4 * 10**8, 10**8, 2 * 10**8]  # a lost frame, then the next sequence
    drawn = []
    for source, frame in _results(pictures, colour_tracker(), stamps):
        sink.write("0002", source, frame, 1.0)
        drawn.append(draw_overlay(source.image, frame, KITTI_STEP))
    assert not (tmp_path / "overlay.mp4").exists()
    sink.close()
    assert [f.name for f in tmp_path.iterdir()] == ["overlay.mp4"]
    frames = _decode(tmp_path / "overlay.mp4")
    assert [ms for ms, _ in frames] == [0, 100, 300, 400, 500, 600]
    assert {image.shape for _, image in frames} == {(36, 62, 3)}  # 35 rows made even
    for (_, image), overlay in zip(frames, drawn, strict=True):
        error = abs(image[:35].astype(int) - overlay).mean()
        assert error < 20
        assert error < abs(image[:35, :, ::-1].astype(int) - overlay).mean()  # red is not blue


def test_frames_of_another_size_fit_into_the_video(tmp_path, pictures, colour_tracker):
    sink = VideoSink(tmp_path / "overlay.mp4", KITTI_STEP)
    for source, frame in _results([pictures[0], pictures[1][:30, :50]], colour_tracker()):
        sink.write("0002", source, frame, 1.0)
    sink.close()
    assert len(_decode(tmp_path / "overlay.mp4")) == 2


def test_a_video_that_cannot_be_written_is_told_at_once(tmp_path):
    with pytest.raises(InputError, match=r"overlay\.xyz: no video can be written there"):
        VideoSink(tmp_path / "overlay.xyz", KITTI_STEP)
    assert list(tmp_path.iterdir()) == []
