"""Writing the KITTI-STEP layout: whole sequences only, kept when they are there, the same with any number of processes."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("embreex")

from mapt_ros.data.labels import step_png_to_labels
from mapt_ros.errors import InputError
from mapt_ros.replay.kitti import find_calibration, find_sequences, read_calibration
from mapt_ros.synthetic import write
from mapt_ros.synthetic.world import World

SMALL = {"seed": 5, "sequences": 2, "frames": 2, "height": 32, "width": 96}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("written")
    write.synthesise(out, **SMALL, processes=1)
    return out


def test_what_is_written_is_the_world(written):
    world = World("mixed", write.Order("mixed", 5, 1, 2, 32, 96).world_seed, 2, 32, 96)
    image = cv2.imread(str(written / "images/train/0001/000001.png"))[..., ::-1]
    labels = cv2.imread(str(written / "panoptic_maps/train/0001/000001.png"))[..., ::-1]
    np.testing.assert_array_equal(image, world[1].image)
    np.testing.assert_array_equal(step_png_to_labels(labels), world[1].labels)


def test_a_stretch_is_the_drives_own_frames(tmp_path):
    write.synthesise(tmp_path, **SMALL, drive=9, processes=1)
    order = write.Order("mixed", 5, 1, 2, 32, 96, drive=9)
    drive = World("mixed", order.world_seed, 9, 32, 96)
    for index in range(2):
        image = cv2.imread(str(tmp_path / f"images/train/0001/{index:06d}.png"))[..., ::-1]
        np.testing.assert_array_equal(image, drive[order.first + index].image)
    with pytest.raises(InputError, match=r"0000: has drive 9, not 0; choose another folder"):
        write.synthesise(tmp_path, **SMALL)


def test_stretches_begin_anywhere_in_their_drives():
    firsts = {write.Order("mixed", 5, k, 4, 32, 96, drive=8).first for k in range(60)}
    assert firsts == {0, 1, 2, 3, 4}
    assert write.Order("mixed", 5, 1, 4, 32, 96).first == 0


def test_two_processes_write_the_same_bytes(written, tmp_path):
    write.synthesise(tmp_path / "two", **SMALL, processes=2)
    assert contents(tmp_path / "two") == contents(written)


def test_the_replay_finds_the_sequences_and_their_camera(written):
    sequences = find_sequences(written)
    assert [sequence.name for sequence in sequences] == ["0000", "0001"]
    facts = json.loads((sequences[0].folder / write.FACTS).read_text())
    matrix = read_calibration(find_calibration(sequences[0].folder), sequences[0].folder)
    assert matrix[0, 0] == pytest.approx(facts["camera"]["focal"], rel=1e-5)
    assert matrix[:2, 2] == pytest.approx(facts["camera"]["center"], rel=1e-5)


def test_whole_sequences_are_kept_and_torn_ones_made_again(written, tmp_path):
    for kind in ("images", "panoptic_maps"):
        (tmp_path / kind / "train").mkdir(parents=True)
    for name, data in contents(written).items():
        # As a run leaves it that ends between the two moves of sequence 1: its labels are there, its images are not.
        if "images/train/0001" not in name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
    (tmp_path / "panoptic_maps/train/0001/000000.png").write_bytes(b"old")
    kept = tmp_path / "images/train/0000/000000.png"
    before = kept.stat().st_mtime_ns
    summary = write.synthesise(tmp_path, **SMALL, processes=1)
    assert summary["kept"] == 1
    assert kept.stat().st_mtime_ns == before
    assert contents(tmp_path) == contents(written)


def test_a_folder_of_another_set_is_refused(written):
    with pytest.raises(InputError, match=r"0000: has seed 5, not 6; choose another folder"):
        write.synthesise(written, **{**SMALL, "seed": 6})


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write.cv2, "imencode", full)
    with pytest.raises(InputError, match="No space left on device"):
        write.synthesise(tmp_path, **{**SMALL, "sequences": 1})
    assert not contents(tmp_path)
    assert not list((tmp_path / "images/train").iterdir())


def test_other_seeds_share_no_sequence():
    seeds = {write.Order("mixed", seed, k, 2, 32, 96).world_seed for seed in range(30) for k in range(30)}
    assert len(seeds) == 900


@pytest.mark.parametrize("size", ["192", "192x", "x640", "192x640x3", "ax b"])
def test_a_size_that_is_none_is_told(size):
    with pytest.raises(InputError, match="size: must be HEIGHTxWIDTH"):
        write.parse_size(size)


@pytest.mark.parametrize(
    ("key", "value"), [("split", "test"), ("sequences", 0), ("scenario", "x"), ("frames", 0), ("drive", 1)]
)
def test_wrong_parameters_are_named(tmp_path, key, value):
    with pytest.raises(InputError, match=f"^{key}: "):
        write.synthesise(tmp_path, **{**SMALL, key: value})


def test_without_the_ray_tracer_the_extra_to_install_is_named(tmp_path, monkeypatch):
    for name in ("mapt_ros.synthetic.world", "mapt_ros.synthetic.renderer", "mapt_ros.synthetic.tracing"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in [name for name in sys.modules if name.startswith("embreex")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "embreex", None)
    with pytest.raises(InputError, match=r"pip install 'mapt_ros\[world\]'"):
        write.synthesise(tmp_path, **SMALL)


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken"):
        write.synthesise(tmp_path / "taken", **SMALL)
