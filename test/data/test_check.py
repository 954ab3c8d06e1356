"""`mapt data check` tells what a dataset holds, or names the first broken file."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

import mapt_ros.data.check as check_module
from mapt_ros.cli import main
from mapt_ros.data.check import check_dataset
from mapt_ros.data.labels import LABEL_DIVISOR, labels_to_step_png
from mapt_ros.errors import InputError

POLE, PERSON, CAR, TRUCK = (LABEL_DIVISOR * class_id for class_id in (5, 11, 13, 14))


def put(root, labels: np.ndarray, sequence: str, number: int) -> str:
    path = root / "panoptic_maps" / "train" / sequence / f"{number:06d}.png"
    Image.fromarray(labels_to_step_png(labels)).save(path)
    return str(path)


def test_the_summary_counts_what_is_there(step_folder, street):
    result = check_dataset(step_folder)
    assert (result["sequences"], result["frames"], result["missing"]) == (3, 10, 0)
    assert result["sizes"] == {"24x40": 7, "26x40": 3}
    assert result["tracks"] == {"person": 3, "car": 3}  # one of each a sequence
    labels = [street(t, height) for frames, height in ((5, 24), (3, 26), (2, 24)) for t in range(frames)]
    total = sum(map(np.size, labels))
    assert result["unlabelled"] == pytest.approx(10 / total, abs=1e-6)
    assert result["crowd"] == pytest.approx(sum((x == PERSON).sum() for x in labels) / total, abs=1e-6)
    assert result["pixels"]["car"] == pytest.approx(sum((x == CAR + 1).sum() for x in labels) / (total - 10), abs=1e-6)
    assert sum(result["pixels"].values()) == pytest.approx(1, abs=1e-4)
    assert check_dataset(step_folder, "val")["frames"] == 2


def test_skipped_numbers_are_counted(step_folder):
    for kind in ("images", "panoptic_maps"):
        (step_folder / kind / "train" / "0000" / "000002.png").unlink()
    assert check_dataset(step_folder)["missing"] == 1


def test_several_processes_change_nothing(step_folder, street, monkeypatch):
    monkeypatch.setattr(check_module, "_WORTH_A_PROCESS", 0)
    assert check_dataset(step_folder, processes=2) == check_dataset(step_folder, processes=1)
    later = put(step_folder, np.full((26, 40), 99 * LABEL_DIVISOR, np.int32), "0001", 0)
    first = put(step_folder, np.full((24, 40), 99 * LABEL_DIVISOR, np.int32), "0000", 4)
    with pytest.raises(InputError) as caught:
        check_dataset(step_folder, processes=2)
    assert str(caught.value).startswith(first) and later not in str(caught.value)


def changed_class(labels: np.ndarray) -> None:
    labels[labels == CAR + 1] = PERSON + 1


def unknown_class(labels: np.ndarray) -> None:
    labels[:2] = 42 * LABEL_DIVISOR


def stuff_with_an_id(labels: np.ndarray) -> None:
    labels[:2] = POLE + 6


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (changed_class, "track 1 is a person, in the frame before it was a car; a track must keep its class"),
        (unknown_class, "class 42 is none of kitti-step's"),
        (stuff_with_an_id, "pole has track id 6; only things have one"),
    ],
)
def test_labels_that_cannot_be_are_named(step_folder, street, damage, message):
    labels = street(3)
    damage(labels)
    path = put(step_folder, labels, "0000", 3)
    with pytest.raises(InputError) as caught:
        check_dataset(step_folder)
    assert str(caught.value) == f"{path}: {message}"


def test_classes_that_number_their_tracks_each_from_one_are_no_mistake(step_folder, street):
    for t in range(5):
        labels = street(t)
        labels[labels == PERSON + 2] = PERSON + 1
        if t == 4:
            labels[labels == CAR + 1] = 0  # car 1 has left, and person 1 walks where it was
            labels[labels == PERSON + 1] = 0
            labels[9:15, 10:12] = PERSON + 1
        put(step_folder, labels, "0000", t)
    assert check_dataset(step_folder)["tracks"] == {"person": 3, "car": 3}


def test_a_sequence_of_one_frame_and_one_that_changes_its_size_are_named(step_folder, write_frame, street):
    write_frame(step_folder / "{}" / "val" / "0003", 0, street(0))
    with pytest.raises(InputError, match="panoptic_maps/val/0003: has a single frame"):
        check_dataset(step_folder)
    write_frame(step_folder / "{}" / "val" / "0003", 1, street(0, height=30))
    with pytest.raises(InputError, match="0003/000001.png: is 40x30 pixels, the frame before 40x24"):
        check_dataset(step_folder)


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mapt", "data", "check", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code or 0


def test_the_command_prints_a_table_or_json(step_folder, monkeypatch, capsys):
    assert run(monkeypatch, str(step_folder)) == 0
    shown = capsys.readouterr().out
    assert "3 sequences, 10 frames, classes kitti-step" in shown and "24x40 (7), 26x40 (3)" in shown
    assert run(monkeypatch, str(step_folder), "--split", "val", "--json") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 2


def test_the_command_names_the_broken_file_and_exits_with_2(step_folder, monkeypatch, capsys):
    path = step_folder / "images" / "train" / "0001" / "000001.png"
    path.write_bytes(path.read_bytes()[:100])
    assert run(monkeypatch, str(step_folder)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith(f"mapt: {path}: ") and sum("mapt:" in line for line in lines) == 1
