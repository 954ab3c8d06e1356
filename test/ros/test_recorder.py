"""What is recorded is what was sent, and a bag under its final name is always whole."""

import numpy as np
import pytest

pytest.importorskip("rclpy")

from mapt_ros.errors import InputError
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.ros.recorder import Recorder

PANOPTIC = {"/mapt/panoptic": "mapt_ros/msg/PanopticFrame"}
STAMPS = [1_317_046_464 * 10**9 + i * 10**8 for i in range(5)]


def test_recorded_frames_are_those_that_were_sent(bench, tmp_path):
    node = bench(drop_policy="none")
    camera = node.camera()
    out = tmp_path / "recorded"
    topics = PANOPTIC | {"/mapt/classes": "mapt_ros/msg/ClassMap"}
    with Recorder(out, topics, latched=["/mapt/classes"]) as recorder:
        assert recorder.wait_for_publishers(120)
        node.wait_until(lambda: node.node._channels[0]._panoptic.get_subscription_count() == 2, "the recorder")
        for stamp in STAMPS:
            camera.publish(node.image(stamp))
        assert recorder.wait_for("/mapt/panoptic", len(STAMPS), 120)
        assert recorder.wait_for("/mapt/classes", 1, 120)
        assert not out.exists()
    node.expect(STAMPS)
    assert recorder.counts == {"/mapt/panoptic": 5, "/mapt/classes": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["recorded"]

    reader = BagReader(out)
    assert reader.topics["/mapt/panoptic"] == ("mapt_ros/msg/PanopticFrame", 5)
    for sent, (_, got) in zip(node.frames, reader.messages("/mapt/panoptic"), strict=True):
        assert got.header.stamp.sec * 10**9 + got.header.stamp.nanosec == node.stamp_of(sent)
        assert np.array_equal(got.labels.data, sent.labels.data)
        assert [i.track_id for i in got.instances] == [i.track_id for i in sent.instances]
    (_, classes), *_ = reader.messages("/mapt/classes")
    assert classes.classes[13].name == "car"
    assert reader.warnings == []


def test_interrupted_recording_keeps_what_it_has(bench, tmp_path):
    node = bench(drop_policy="none")
    camera = node.camera()
    with pytest.raises(KeyboardInterrupt), Recorder(tmp_path / "recorded", PANOPTIC) as recorder:
        assert recorder.wait_for_publishers(120)
        node.wait_until(lambda: node.node._channels[0]._panoptic.get_subscription_count() == 2, "the recorder")
        camera.publish(node.image(STAMPS[0]))
        assert recorder.wait_for("/mapt/panoptic", 1, 120)
        raise KeyboardInterrupt
    assert BagReader(tmp_path / "recorded").topics["/mapt/panoptic"].count == 1


def test_recording_nothing_leaves_nothing(tmp_path):
    with Recorder(tmp_path / "recorded", PANOPTIC) as recorder:
        assert not recorder.wait_for("/mapt/panoptic", 1, 0.1)
    assert list(tmp_path.iterdir()) == []


def test_bag_that_exists_is_not_overwritten(tmp_path):
    (tmp_path / "recorded").mkdir()
    with pytest.raises(InputError, match="exists already"):
        Recorder(tmp_path / "recorded", PANOPTIC)
