"""The tracker as its users call it: frames, states, epochs, batches, bad input."""

import copy

import numpy as np
import pytest
import torch

from mapt_ros import LABEL_DIVISOR, PanopticTracker
from mapt_ros.data.labels import decode_labels
from mapt_ros.errors import InputError
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.frame import Association, TrackState


@pytest.fixture
def tracker(tiny_weights) -> PanopticTracker:
    return PanopticTracker.load(tiny_weights, device="cpu", confirm_after=1, motion_threshold=0.05)


@pytest.fixture
def images(tiny_drive) -> list[np.ndarray]:
    return [image for image, _ in tiny_drive]


def bytes_of(frames) -> list:
    return [(f.labels.tobytes(), f.instances, f.sequence, f.epoch) for f in frames]


def test_the_frame_and_its_instances_agree(tracker, images):
    seen = set()
    for index, image in enumerate(images):
        frame = tracker(image, stamp_ns=index * 100_000_000)
        assert frame.labels.shape == image.shape[:2] and frame.labels.dtype == np.int32
        assert (frame.sequence, frame.epoch, frame.stamp_ns) == (index, 0, index * 100_000_000)
        _, ids = decode_labels(frame.labels)
        assert set(np.unique(ids[ids > 0])) == {i.track_id for i in frame.instances}
        for instance in frame.instances:
            mask = frame.labels == instance.class_id * LABEL_DIVISOR + instance.track_id
            rows, columns = np.nonzero(mask)
            assert instance.area == len(rows) > 0
            assert instance.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert instance.x == pytest.approx(columns.mean() + 0.5) and instance.y == pytest.approx(rows.mean() + 0.5)
            seen.add(instance.association)
    assert seen >= {Association.NEW, Association.MOTION}


def test_the_same_input_twice_is_the_same_output_byte_for_byte(tracker, images):
    first = bytes_of([tracker(image, i) for i, image in enumerate(images)])
    state = tracker.new_state()
    second = bytes_of([tracker.step([image], [state], [i])[0] for i, image in enumerate(images)])
    assert first == second


def test_reset_begins_an_epoch_with_ids_from_one(tracker, images):
    frames = [tracker(image) for image in images]
    tracker.reset()
    again = [tracker(image) for image in images]
    assert [f.epoch for f in again] == [1] * 4 and [f.sequence for f in again] == [0, 1, 2, 3]
    assert [f.labels.tobytes() for f in again] == [f.labels.tobytes() for f in frames]
    assert min(i.track_id for i in again[0].instances) == 1


def test_cameras_in_one_batch_do_not_know_of_each_other(tracker, images):
    states = [tracker.new_state() for _ in range(2)]
    for index in range(3):
        pair = [images[index], images[3 - index][:, ::-1]]
        left, right = tracker.step(pair, states, [index, index])
        assert left.sequence == right.sequence == index
    assert min(t.instance.track_id for t in states[0].tracks) >= 1
    ids = [{t.instance.track_id for t in s.tracks} for s in states]
    assert ids[0] & ids[1]  # both count from 1
    states[0].reset()
    assert (states[0].epoch, states[1].epoch) == (1, 0) and states[0].tracks == [] and states[1].tracks


def test_cameras_of_different_size_run_in_one_step(tracker, images):
    states = [tracker.new_state() for _ in range(3)]
    shapes = [images[0], images[0][:64], images[1]]
    frames = tracker.step(shapes, states, [None] * 3)
    assert [f.labels.shape for f in frames] == [(96, 160), (64, 160), (96, 160)]


def test_ids_stay_unique_when_the_image_size_changes_in_mid_stream(tracker, images):
    before = {i.track_id for i in tracker(images[0]).instances}
    tracker.settings = tracker.settings.model_copy(update={"association": "motion"})
    smaller = tracker(np.ascontiguousarray(images[1][:64, :128]))
    assert smaller.labels.shape == (64, 128) and smaller.sequence == 1
    assert all(i.association == Association.NEW for i in smaller.instances)  # no predecessor, so no motion
    assert not before & {i.track_id for i in smaller.instances}


def test_tracks_age_and_die_on_frames_without_detections(tracker, images):
    tracker.settings = tracker.settings.model_copy(update={"max_age": 2, "publish_lost": True})
    tracks = {i.track_id for i in tracker(images[0]).instances}
    assert tracks
    tracker.settings = tracker.settings.model_copy(update={"score_threshold": 1.0})
    lost = [tracker(image) for image in images[:3]]
    assert [{i.track_id for i in f.instances} for f in lost] == [tracks, tracks, set()]
    assert all(i.state == TrackState.LOST and i.area == 0 for i in lost[1].instances)
    assert [i.frames_since_seen for i in lost[1].instances] == [2] * len(tracks)
    assert all((decode_labels(f.labels)[1] == 0).all() for f in lost)


def test_lost_tracks_are_reported_only_when_asked_for(tracker, images):
    tracker(images[0])
    tracker.settings = tracker.settings.model_copy(update={"score_threshold": 1.0})
    assert tracker(images[1]).instances == []


HOW = {"motion": Association.MOTION, "appearance": Association.APPEARANCE, "appearance-first": Association.APPEARANCE}


@pytest.mark.parametrize("mode", ["combined", "motion", "appearance", "appearance-first", "simultaneous"])
def test_every_mode_keeps_every_id_on_a_still_picture(tracker, images, mode):
    """From the second frame on: the first has no predecessor, and random weights make its embeddings differ."""
    tracker.settings = tracker.settings.model_copy(update={"association": mode, "appearance_threshold": 0.9})
    _, second, third = (tracker(images[0]) for _ in range(3))
    assert second.instances
    assert [i.track_id for i in third.instances] == [i.track_id for i in second.instances]
    assert {i.association for i in third.instances} == {HOW.get(mode, Association.MOTION)}


def test_propagated_features_can_be_left_out_of_the_embeddings(tracker, images):
    tracker(images[0])
    embeddings = []
    for use in (True, False, False):
        state = copy.copy(tracker.state)
        tracker.settings = tracker.settings.model_copy(update={"use_propagated_features": use})
        tracker.step([images[1]], [state], [None])
        embeddings.append(np.stack([track.embedding for track in state.tracks]))
    np.testing.assert_array_equal(embeddings[1], embeddings[2])
    assert not np.allclose(embeddings[0], embeddings[1], atol=1e-4)


def test_a_state_is_unchanged_when_a_step_fails(tracker, images, monkeypatch):
    tracker(images[0])
    before = dict(tracker.state.__dict__)

    def fail(*_args):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(tracker.model.motion, "field", fail)
    with pytest.raises(RuntimeError):
        tracker(images[1])
    assert tracker.state.__dict__ == before


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 100, 3), np.uint8),  # resized to the network's height it would be enormous
        "no image",
    ],
)
def test_what_is_no_image_is_refused_in_one_line(tracker, image):
    with pytest.raises(InputError, match="expected"):
        tracker(image)


def test_one_state_cannot_serve_two_images(tracker, images):
    state = tracker.new_state()
    with pytest.raises(InputError, match="state of its own"):
        tracker.step(images[:2], [state, state], [0, 0])


def test_half_precision_sees_the_same_things_with_boxes_in_single_precision(tiny_weights, images):
    trackers = [PanopticTracker.load(tiny_weights, device="cpu", precision=p) for p in ("fp32", "bf16")]
    found = []
    for tracker in trackers:
        tracker(images[0])
        batch = tracker.model.prepare([torch.from_numpy(images[1])])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=tracker.precision == "bf16"):
            found.append(tracker.model(batch, [tracker.state.previous])[0])
        assert tracker(images[1]).labels.shape == images[1].shape[:2]
    single, half = found
    assert half.detections.boxes.dtype == half.detections.scores.dtype == torch.float32
    scale = single.semantic_logits.abs().max()
    assert (half.semantic_logits.float() - single.semantic_logits).abs().max() < 0.05 * scale


def test_loading_says_what_is_wrong(tiny_weights):
    for arguments, words in [
        ({"device": "tpu"}, "expected auto, cpu"),
        ({"device": "cuda:99"}, "CUDA devices"),
        ({"association": "magic"}, "association"),
        ({"precision": "fp16"}, "on CUDA, fp16"),
        ({"precision": "fp8"}, "expected fp32"),
        ({"wings": 2}, "unknown key 'wings'"),
        ({"config": "compact"}, "weights of another config"),
        ({"config": "nope"}, "no such bundled config"),
    ]:
        with pytest.raises(InputError, match=words) as caught:
            PanopticTracker.load(tiny_weights, **arguments)
        assert "\n" not in str(caught.value)


def test_loading_takes_settings_from_the_checkpoint_and_the_caller(tiny_weights):
    tracker = PanopticTracker.load(tiny_weights, device="cpu", max_age=5)
    assert tracker.settings == TrackerConfig(score_threshold=0.0, min_stuff_area=0, max_age=5)
    assert tracker.weights_name == "tiny" and len(tracker.weights_hash) == 12
    assert tracker.device == torch.device("cpu")


def test_warming_up_leaves_nothing_behind(tracker, images, tiny_weights):
    fresh = PanopticTracker.load(tiny_weights, device="cpu", confirm_after=1, motion_threshold=0.05)
    tracker(images[0])
    fresh(images[0])
    tracker.warm_up(*images[0].shape[:2], cameras=2)
    assert bytes_of([tracker(images[1])]) == bytes_of([fresh(images[1])])
    with pytest.raises(InputError, match="at least 1x1"):
        tracker.warm_up(0, 100)
