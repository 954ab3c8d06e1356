"""Offline tracking is deterministic, keeps what it finished, and says what broke off."""

import json
import os
import resource
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from mapt_ros.cli import main
from mapt_ros.data.labels import step_png_to_labels
from mapt_ros.errors import InputError
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.replay.bags import StagedBag, image_message
from mapt_ros.replay.sources import open_sources, read_image
from mapt_ros.replay.track import track_sequences, track_source


def _files(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def _lines(out):
    return [json.loads(line) for line in (out / "tracks.jsonl").read_text().splitlines()]


def test_maps_tracks_and_summary_are_written_for_every_frame(save, pictures, tmp_path, colour_tracker):
    folder = save("images/val/0002", pictures)
    out = tmp_path / "out"
    summary = track_sequences(open_sources(folder), colour_tracker(), out, facts={"weights": "none"})
    assert sorted(_files(out)) == sorted(
        ["summary.json", "tracks.jsonl", *(f"panoptic_maps/0002/{t:06d}.png" for t in range(6))]
    )
    for t, picture in enumerate(pictures):
        labels = step_png_to_labels(read_image(out / f"panoptic_maps/0002/{t:06d}.png"))
        np.testing.assert_array_equal(labels, colour_tracker()(picture).labels)
    assert json.loads((out / "summary.json").read_text()) == summary
    assert (summary["complete"], summary["frames"], summary["sequences"]) == (True, 6, {"0002": 6})
    assert (summary["tracks"], summary["weights"], summary["warnings"]) == (1, "none", [])
    assert summary["latency_ms_p95"] >= summary["latency_ms_p50"] > 0


def test_the_same_input_twice_gives_the_same_bytes(ros2_bag, pictures, tmp_path, colour_tracker):
    bag = ros2_bag(pictures)
    for name in ("one", "two"):
        track_sequences(open_sources(bag), colour_tracker(), tmp_path / name)
        (tmp_path / name / "summary.json").unlink()  # has times in it
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_a_bag_and_its_images_give_the_same_maps(save, ros1_bag, pictures, tmp_path, colour_tracker):
    track_sequences(open_sources(save("drive", pictures)), colour_tracker(), tmp_path / "one")
    track_sequences(open_sources(ros1_bag(pictures)), colour_tracker(), tmp_path / "two")
    assert _files(tmp_path / "one" / "panoptic_maps") == _files(tmp_path / "two" / "panoptic_maps")


def test_the_tracker_starts_anew_with_each_sequence(save, pictures, tmp_path, colour_tracker):
    save("images/val/0002", pictures[:3])
    save("images/val/0006", pictures[:2])
    summary = track_sequences(open_sources(tmp_path / "images"), colour_tracker(), tmp_path / "out")
    assert [(x["sequence"], x["epoch"], x["frame"]) for x in _lines(tmp_path / "out")] == [
        ("0002", 0, 0),
        ("0002", 0, 1),
        ("0002", 0, 2),
        ("0006", 1, 0),
        ("0006", 1, 1),
    ]
    assert summary["tracks"] == 2


def test_stamps_decide_as_in_the_node(tmp_path, pictures, colour_tracker):
    bag = StagedBag(tmp_path / "loop")
    stamps_ms = [5000, 5100, 5100, 5050, 5200, 1000]  # repeated, late, and a loop back to the start
    for t, (picture, ms) in enumerate(zip(pictures, stamps_ms, strict=True)):
        bag.write("/image", image_message(picture, "rgb8", ms * 10**6, "front"), 10**9 + t)
    bag.commit()
    summary = track_sequences(open_sources(tmp_path / "loop"), colour_tracker(), tmp_path / "out")
    lines = _lines(tmp_path / "out")
    assert [(x["stamp_ns"] // 10**6, x["epoch"]) for x in lines] == [(5000, 0), (5100, 0), (5200, 0), (1000, 1)]
    assert summary["dropped"] == 2


def test_a_stamp_of_zero_is_none_to_the_tracker_as_in_the_node_and_stays_in_the_results(
    save, pictures, tmp_path, colour_tracker
):
    given = []

    class Noting(colour_tracker):
        def __call__(self, image_rgb, stamp_ns=None):
            given.append(stamp_ns)
            return super().__call__(image_rgb, stamp_ns)

    folder = save("drive", pictures[:3])  # without stamps of its own: ten frames a second from zero
    track_sequences(open_sources(folder), Noting(), tmp_path / "out", bag=tmp_path / "bag")
    assert given == [None, 10**8, 2 * 10**8]
    assert [line["stamp_ns"] for line in _lines(tmp_path / "out")] == [0, 10**8, 2 * 10**8]
    sent = [message.header.stamp for _, message in BagReader(tmp_path / "bag").messages("/mapt/panoptic")]
    assert [(stamp.sec, stamp.nanosec) for stamp in sent] == [(0, 0), (0, 10**8), (0, 2 * 10**8)]


def test_a_truncated_image_keeps_the_frames_before_it(save, pictures, tmp_path, colour_tracker):
    folder = save("images/val/0002", pictures)
    os.truncate(folder / "000004.png", 200)
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"000004\.png"):
        track_sequences(
            open_sources(folder), colour_tracker(), out, video=out / "overlay.mp4", bag=out / "panoptic_bag"
        )
    assert [f.name for f in sorted((out / "panoptic_maps/0002").iterdir())] == [f"{t:06d}.png" for t in range(4)]
    assert [line["index"] for line in _lines(out)] == [0, 1, 2, 3]
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["complete"], summary["frames"]) == (False, 4)
    assert "000004.png" in summary["broke_off"]
    assert len(list(open_sources(out / "overlay.mp4")[0])) == 4
    assert not [f for f in out.rglob("*") if f.name.startswith(".")]
    assert BagReader(out / "panoptic_bag").topics["/mapt/panoptic"].count == 4


def test_a_cut_bag_is_tracked_as_far_as_it_goes_with_a_warning(ros1_bag, pictures, tmp_path, colour_tracker):
    path = ros1_bag(pictures)
    os.truncate(path, path.stat().st_size // 2)
    summary = track_sequences(open_sources(path), colour_tracker(), tmp_path / "out")
    assert summary["complete"]
    assert 0 < summary["frames"] < 6
    assert "cut off or damaged" in summary["warnings"][0]


def test_a_crash_of_the_tracker_still_leaves_the_finished_frames(save, pictures, tmp_path, colour_tracker):
    class Crashing(colour_tracker):
        def __call__(self, image_rgb, stamp_ns=None):
            if self.frames == 2:
                raise KeyboardInterrupt
            return super().__call__(image_rgb, stamp_ns)

    with pytest.raises(KeyboardInterrupt):
        track_sequences(open_sources(save("0002", pictures)), Crashing(), tmp_path / "out")
    assert len(_lines(tmp_path / "out")) == 2
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["broke_off"] == "KeyboardInterrupt"


def test_earlier_results_are_not_mixed_with_new_ones(save, pictures, tmp_path, colour_tracker):
    folder = save("0002", pictures)
    track_sequences(open_sources(folder), colour_tracker(), tmp_path / "out")
    before = _files(tmp_path / "out")
    with pytest.raises(InputError, match="already holds panoptic_maps"):
        track_sequences(open_sources(folder), colour_tracker(), tmp_path / "out")
    assert _files(tmp_path / "out") == before


def test_a_wrong_output_is_refused_before_anything_is_written(save, pictures, tmp_path, colour_tracker):
    save("images/val/0002", pictures[:1])
    sources = open_sources(tmp_path / "images")
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no video can be written"):
        track_sequences(sources, colour_tracker(), out, video=tmp_path / "a.xyz")
    (tmp_path / "bag").mkdir()
    with pytest.raises(InputError, match="exists already"):
        track_sequences(sources, colour_tracker(), out, video=tmp_path / "a.mp4", bag=tmp_path / "bag")
    assert list(out.iterdir()) == []
    assert not (tmp_path / "a.mp4").exists()
    with pytest.raises(InputError, match="cannot be made a folder"):
        track_sequences(sources, colour_tracker(), tmp_path / "images/val/0002/000000.png")


@contextmanager
def small_disk(size):
    """Lets no file of this process grow beyond so many bytes, which fails as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("extra", [{}, {"video": "a.mp4", "bag": "bag"}], ids=["maps", "video and bag too"])
def test_a_folder_that_cannot_be_written_is_told_before_the_first_frame(
    save, pictures, tmp_path, colour_tracker, extra
):
    class Untouched(colour_tracker):
        def __call__(self, image_rgb, stamp_ns=None):
            raise AssertionError("an image was tracked")

    others = {name: tmp_path / "others" / path for name, path in extra.items()}
    with pytest.raises(InputError, match=r"/proc/sys/tracks\.jsonl: cannot be written \(") as error:
        track_sequences(open_sources(save("drive", pictures)), Untouched(), Path("/proc/sys"), **others)
    assert "\n" not in str(error.value)
    assert not extra or list((tmp_path / "others").iterdir()) == []


@pytest.mark.parametrize(
    ("size", "full"), [(100, "panoptic_maps/drive/000000.png"), (1000, "tracks.jsonl")], ids=["map", "tracks"]
)
def test_a_full_disk_keeps_the_finished_frames_and_is_told_in_one_line(
    save, pictures, tmp_path, colour_tracker, size, full
):
    sources, out = open_sources(save("drive", pictures)), tmp_path / "out"
    with small_disk(size), pytest.raises(InputError, match=r"cannot be written \(") as error:
        track_sequences(sources, colour_tracker(), out)
    assert str(error.value).startswith(f"{out}/{full}: ")
    lines = _lines(out)  # none of them is cut
    assert [line["index"] for line in lines] == list(range(len(lines)))
    for file in out.rglob("*.png"):
        read_image(file)
    assert not [f for f in out.rglob("*") if f.name.startswith(".")]
    if size == 1000:
        assert 0 < len(lines) < 6
        summary = json.loads((out / "summary.json").read_text())
        assert (summary["complete"], summary["frames"]) == (False, len(lines))
        assert summary["broke_off"] == str(error.value)


@pytest.mark.parametrize("storage", ["video", "bag"])
def test_one_output_that_cannot_be_completed_does_not_cost_the_others(save, larger, tmp_path, colour_tracker, storage):
    sources, out = open_sources(save("drive", larger)), tmp_path / "out"
    name = {"video": "overlay.mp4", "bag": "panoptic"}[storage]
    with small_disk(3000), pytest.raises(InputError, match=rf"{name}: cannot be written \("):
        track_sequences(sources, colour_tracker(), out, **{storage: out / name})
    summary = json.loads((out / "summary.json").read_text())
    assert not summary["complete"] and name in summary["broke_off"]
    assert len(_lines(out)) >= summary["frames"]
    assert len(list((out / "panoptic_maps" / "drive").iterdir())) >= summary["frames"]
    assert sorted(f.name for f in out.iterdir()) == ["panoptic_maps", "summary.json", "tracks.jsonl"]


def test_one_bag_takes_one_sequence(save, pictures, tmp_path, colour_tracker):
    save("images/val/0002", pictures[:1])
    save("images/val/0006", pictures[:1])
    with pytest.raises(InputError, match="one bag holds one sequence, and the source has 2"):
        track_sequences(open_sources(tmp_path / "images"), colour_tracker(), tmp_path / "out", bag=tmp_path / "bag")


@pytest.fixture
def larger(pictures):
    return [cv2.resize(picture, (128, 64)) for picture in pictures]


def test_the_real_tracker_gives_the_same_bytes_from_a_folder_and_from_its_bag(
    save, ros2_bag, larger, tmp_path, tiny_weights
):
    folder, bag = save("drive", larger), ros2_bag(larger, name="bags/drive")
    first = track_source(folder, tmp_path / "one", weights=str(tiny_weights), device="cpu")
    track_source(folder, tmp_path / "two", weights=str(tiny_weights), device="cpu")
    track_source(bag, tmp_path / "three", weights=str(tiny_weights), device="cpu")
    assert (first["weights"], first["device"], first["frames"]) == ("tiny", "cpu", 6)
    assert first["tracks"] > 0
    one, two, three = (_files(tmp_path / name) for name in ("one", "two", "three"))
    for files in (one, two, three):
        del files["summary.json"]  # has times in it
    assert one == two
    maps = [name for name in one if name.endswith(".png")]
    assert len(maps) == 6
    assert {name: one[name] for name in maps} == {name: three[name] for name in maps}


@pytest.fixture
def mapt(monkeypatch, capsys):
    """Runs the command and returns its exit code, standard output and standard error."""

    def _mapt(*arguments):
        monkeypatch.setattr(sys, "argv", ["mapt", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code, *capsys.readouterr()

    return _mapt


def test_the_command_keeps_what_it_finished_and_exits_with_2(save, larger, tmp_path, tiny_weights, mapt):
    folder = save("drive", larger)
    os.truncate(folder / "000002.png", 500)
    code, stdout, stderr = mapt("track", folder, "--out", tmp_path / "out", "--weights", tiny_weights, "--json")
    assert (code, stdout) == (2, "")
    (line,) = stderr.strip().splitlines()
    assert line.startswith(f"mapt: {folder}/000002.png: not a whole image file")
    assert len(list((tmp_path / "out" / "panoptic_maps" / "drive").iterdir())) == 2
    assert len(_lines(tmp_path / "out")) == 2


def test_the_command_prints_its_summary_as_json(ros1_bag, larger, tmp_path, tiny_weights, mapt):
    out = tmp_path / "out"
    options = ["--weights", tiny_weights, "--video", out / "overlay.mp4", "--bag", out / "panoptic", "--json"]
    code, stdout, stderr = mapt("track", ros1_bag(larger), "--out", out, *options)
    assert code == 0, stderr
    assert json.loads(stdout) == json.loads((out / "summary.json").read_text())
    assert BagReader(out / "panoptic").topics["/mapt/panoptic"].count == 6
    assert len(list(open_sources(out / "overlay.mp4")[0])) == 6


def test_the_command_tells_a_folder_that_cannot_be_written_in_one_line(save, pictures, tiny_weights, mapt):
    code, stdout, stderr = mapt("track", save("drive", pictures), "--out", "/proc/sys", "--weights", tiny_weights)
    assert (code, stdout) == (2, "")
    assert stderr.startswith("mapt: /proc/sys/tracks.jsonl: cannot be written (")
    assert len(stderr.splitlines()) == 1


def test_missing_weights_leave_no_output_folder(save, pictures, tmp_path, mapt):
    code, _, stderr = mapt("track", save("drive", pictures), "--out", tmp_path / "out", "--weights", tmp_path / "a.pt")
    assert code == 2
    assert "a.pt: no such weights file" in stderr
    assert not (tmp_path / "out").exists()
