"""The main job with the real parts: shipped weights, the node as a process, images and answers over DDS."""

import json

import av
import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from mapt_ros.data.labels import decode_labels
from mapt_ros.errors import InputError
from mapt_ros.evaluation.identity import Identities
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.replay.bags import FIRST_STAMP_NS
from mapt_ros.ros.conversions import decode_panoptic
from mapt_ros.ros.demo import FRAMES, PANOPTIC, PERIOD_NS, WORLD_SEED, read_drive, run_demo
from mapt_ros.training.recipe import load_recipe


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Folder and summary of one run."""
    out = tmp_path_factory.mktemp("demo")
    return out, run_demo(out)


@pytest.fixture(scope="module")
def received(demo) -> list:
    return [decode_panoptic(message) for _, message in BagReader(demo[0] / "panoptic").messages(PANOPTIC)]


def test_every_image_is_answered_once_in_order_under_its_own_stamp(received):
    assert [f.stamp_ns for f in received] == [FIRST_STAMP_NS + i * PERIOD_NS for i in range(FRAMES)]
    assert [(f.sequence, f.epoch) for f in received] == [(i, 0) for i in range(FRAMES)]


def test_ids_persist_as_the_ground_truth_says(demo, received):
    """What the product is for: at least two things keep one id of their own over ten frames or more."""
    identities = Identities()
    for (_, truth), frame in zip(read_drive(demo[0]), received, strict=True):
        identities.add(truth, frame.labels)
    kept = identities.persistent(10)  # one to one
    assert len(kept) >= 2


def test_messages_and_label_maps_agree(received):
    for frame in received:
        _, ids = decode_labels(frame.labels)
        assert {i.track_id for i in frame.instances} == set(np.unique(ids[ids > 0]).tolist())
        assert all(i.area == (ids == i.track_id).sum() for i in frame.instances)


def test_the_drive_is_one_that_the_weights_have_not_seen():
    assert WORLD_SEED not in {source.synthetic.seed for source in load_recipe("compact_synthetic").data}


def test_summary_and_pictures_are_there(demo):
    out, summary = demo
    assert json.loads((out / "summary.json").read_text()) == summary
    assert summary["frames_in"] == summary["frames_out"] == FRAMES
    # Seen: 0.63, 0.34 and 0.33; other processors round otherwise.
    assert summary["things_found"] >= 0.45 and summary["PAT"] >= 0.25 and summary["STQ"] >= 0.25
    assert 0 < summary["latency_ms_p50"] <= summary["latency_ms_p95"]
    assert summary["weights"].startswith("compact ") and summary["device"]
    sheet = cv2.imread(str(out / "overlay.png"))
    assert sheet is not None and sheet.std() > 10
    with av.open(str(out / "overlay.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == FRAMES


def test_weights_that_are_none_are_one_line_before_anything_is_written(tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        run_demo(tmp_path / "out", weights=broken)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["scene", "summary.json"])
def test_what_is_not_from_a_demo_is_not_touched(tmp_path, tiny_weights, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="not from a demo"):
        run_demo(tmp_path, weights=tiny_weights)
    assert (tmp_path / name / "mine.txt").read_text() == "precious"


def test_an_output_that_is_a_file_is_one_line(tmp_path, tiny_weights):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another --out"):
        run_demo(tmp_path / "file", weights=tiny_weights)
