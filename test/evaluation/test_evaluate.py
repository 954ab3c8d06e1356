"""Folders of panoptic maps get the scores of the arrays in them, and whatever is wrong with them is told in one line."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mapt_ros.cli import app
from mapt_ros.data.labels import LABEL_DIVISOR, decode_labels, labels_to_step_png
from mapt_ros.errors import InputError
from mapt_ros.evaluation.evaluate import SCORES, Evaluator, evaluate

CAR = 13 * LABEL_DIVISOR


def write(path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels_to_step_png(labels)).save(path)


def write_frames(root, name: str, frames, which: int) -> None:
    for number, frame in enumerate(frames):
        write(root / name / f"{number:06d}.png", frame[which])


@pytest.fixture
def class_file(tmp_path, classes):
    entries = [{"id": c.id, "name": c.name, "isthing": c.is_thing} for c in classes.classes]
    path = tmp_path / "classes.json"
    path.write_text(json.dumps({"classes": entries, "void": 255}))
    return path


@pytest.fixture
def folders(tmp_path):
    """Two frames of KITTI-STEP, road with a car, predicted perfectly: (ground truth, predictions)."""
    labels = np.zeros((4, 6), np.int32)
    labels[1:3, 1:4] = CAR + 300
    for root in ("gt", "pred"):
        write_frames(tmp_path / root / "panoptic_maps", "0002", [(labels,), (labels,)], 0)
    return tmp_path / "gt", tmp_path / "pred"


def test_folders_score_as_their_arrays_do_in_either_layout_and_order(tmp_path, classes, class_file, random_sequences):
    sequences = random_sequences(4)
    evaluator = Evaluator(classes, min_area=2, devkit_exact=True)
    for name, frames in sequences.items():
        write_frames(tmp_path / "gt" / "panoptic_maps", name, frames, 0)
        write_frames(tmp_path / "pred", name, frames, 1)
        for truth, predicted in frames:
            evaluator.add(name, truth, predicted)
    result = evaluate(tmp_path / "gt", tmp_path / "pred", classes=class_file, min_area=2, devkit_exact=True)
    expected = evaluator.result()
    for key in (*SCORES, "per_class", "per_sequence", "panoptic_quality"):
        assert result[key] == expected[key], key
    assert result["frames"] == sum(map(len, sequences.values()))
    assert (result["missing"], result["extra"], result["reasons"]) == ([], [], {})
    assert result["conventions"]["min_area"] == 2
    assert result["conventions"]["devkit_exact"] is True


def test_several_processes_change_nothing(tmp_path, classes, class_file, random_sequences, monkeypatch):
    for name, frames in random_sequences(5).items():
        write_frames(tmp_path / "gt", name, frames, 0)
        write_frames(tmp_path / "pred", name, frames, 1)
    alone = evaluate(tmp_path / "gt", tmp_path / "pred", classes=class_file)
    monkeypatch.setattr("mapt_ros.evaluation.evaluate._WORTH_A_PROCESS", 0)
    assert evaluate(tmp_path / "gt", tmp_path / "pred", classes=class_file, processes=2) == alone


def test_perfect_predictions_score_one(folders):
    result = evaluate(*folders)
    assert {score: result[score] for score in SCORES} == dict.fromkeys(SCORES, 1.0) | {"IDS": 0}
    assert result["per_class"]["car"]["TP"] == 2
    assert (result["per_class"]["car"]["IDS"], result["per_class"]["road"]["IDS"]) == (0, None)
    assert result["per_class"]["truck"]["isthing"] is False
    assert result["per_class"]["truck"]["PQ"] is None


def test_missing_frames_count_as_empty_and_extra_ones_are_only_listed(folders):
    truth, predicted = folders
    maps = predicted / "panoptic_maps"
    (maps / "0002" / "000001.png").rename(maps / "0002" / "000007.png")
    write(maps / "0099" / "000000.png", np.zeros((4, 6), np.int32))
    result = evaluate(truth, predicted)
    assert result["missing"] == ["0002/000001"]
    assert result["extra"] == ["0002/000007", "0099/000000"]
    assert result["frames"] == 2
    # As if a frame of void had been there.
    write(maps / "0002" / "000001.png", np.full((4, 6), -1, np.int32))
    assert {s: result[s] for s in SCORES} == {s: evaluate(truth, predicted)[s] for s in SCORES}
    assert result["AQ"] == pytest.approx(0.25)  # half of the car: 6 * 6 / 12 shared, of 12 pixels


def test_a_folder_without_any_prediction_misses_every_frame(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    result = evaluate(folders[0], tmp_path / "empty")
    assert result["missing"] == ["0002/000000", "0002/000001"]
    assert result["PAT"] == 0.0


def test_what_cannot_be_measured_is_null_with_a_reason(folders):
    truth, predicted = folders
    for number in range(2):
        write(truth / "panoptic_maps" / "0002" / f"{number:06d}.png", np.full((4, 6), -1, np.int32))
    result = evaluate(truth, predicted)
    assert {score: result[score] for score in SCORES} == dict.fromkeys(SCORES)
    assert set(result["reasons"]) == set(SCORES)
    json.dumps(result, allow_nan=False)
    for number in range(2):
        write(truth / "panoptic_maps" / "0002" / f"{number:06d}.png", np.zeros((4, 6), np.int32))
    result = evaluate(truth, predicted)
    of_things = {"PAT", "TQ", "STQ", "AQ", "IDS", "sMOTSA", "MOTSA", "IDF1", "HOTA"}
    assert {score for score in SCORES if result[score] is None} == of_things == set(result["reasons"])
    assert "no thing with an id" in result["reasons"]["PAT"]
    assert "min_area" not in result["reasons"]["STQ"]  # knows no such limit


def first_map(root):
    return root / "panoptic_maps" / "0002" / "000000.png"


def cut_off(path):
    path.write_bytes(path.read_bytes()[:60])


def not_a_number(path):
    path.rename(path.with_name("first.png"))


def sixteen_bits(path):
    """As somebody may write ids over 65535: channels of 16 bits, which Pillow reads as their upper halves."""
    pixels = np.zeros((4, 6, 3), np.uint16)
    pixels[..., 1] = 70000 >> 8  # OpenCV writes blue, green, red
    pixels[..., 0] = 70000 & 255
    pixels[..., 2] = 13
    assert cv2.imwrite(str(path), pixels)


def twice(path):
    path.with_name("0000.png").write_bytes(path.read_bytes())


DAMAGE = {
    "size": (lambda p: write(p, np.zeros((4, 7), np.int32)), "prediction is 4x7, ground truth is 4x6"),
    "class": (lambda p: write(p, np.full((4, 6), 77 * LABEL_DIVISOR, np.int32)), "class id 77 is not in the class set"),
    "text": (lambda p: p.write_text("no image"), "is not a whole image file"),
    "cut off": (cut_off, "cannot be read"),
    "grey": (lambda p: Image.new("L", (6, 4)).save(p), "of mode L, expected an 8-bit RGB PNG"),
    "16 bits": (sixteen_bits, "is a PNG of 16 bits a channel, expected an 8-bit RGB PNG"),
    "name": (not_a_number, "its name is not a frame number"),
    "twice": (twice, "frame 0 is there twice"),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("side", [0, 1])
def test_a_damaged_map_is_named_in_one_line(folders, kind, side):
    damage, message = DAMAGE[kind]
    damage(first_map(folders[side]))
    if kind == "size" and side == 0:
        message = "prediction is 4x6, ground truth is 4x7"
    with pytest.raises(InputError, match=message) as caught:
        evaluate(*folders)
    assert "\n" not in str(caught.value)
    blamed = folders[1] if kind == "size" else folders[side]
    assert str(caught.value).startswith(str(blamed))


def test_folders_that_are_missing_or_hold_no_truth_are_told(folders, tmp_path):
    with pytest.raises(InputError, match="nowhere: is not a folder"):
        evaluate(tmp_path / "nowhere", folders[1])
    with pytest.raises(InputError, match="nowhere: is not a folder"):
        evaluate(folders[0], tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no ground truth there"):
        evaluate(tmp_path / "empty", folders[1])


def into_split(root, split):
    """Moves a folder's sequences into a split."""
    maps = root / "panoptic_maps"
    maps.rename(root / split)
    maps.mkdir()
    (root / split).rename(maps / split)


@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
def test_a_split_is_looked_into_on_either_side(folders, sides):
    whole = evaluate(*folders)
    for side in sides:
        into_split(folders[side], "val")
    assert evaluate(*folders) == whole


def test_of_several_splits_the_truth_has_to_be_named_and_predictions_follow_it(folders):
    for root in folders:
        into_split(root, "val")
        write(root / "panoptic_maps" / "train" / "0002" / "000000.png", np.zeros((4, 6), np.int32))
    with pytest.raises(InputError, match="gt: has the splits train, val; name one, such as .*gt/panoptic_maps/train$"):
        evaluate(*folders)
    result = evaluate(folders[0] / "panoptic_maps" / "val", folders[1])
    assert (result["frames"], result["missing"], result["extra"], result["PAT"]) == (2, [], [], 1.0)


def test_classes_and_void_come_from_a_yaml_file_too(tmp_path):
    labels = np.array([[200 * LABEL_DIVISOR + 7, 0, 0]], np.int64)
    for root in ("gt", "pred"):
        folder = tmp_path / root / "a"
        folder.mkdir(parents=True)
        class_ids, track_ids = decode_labels(labels)
        png = np.stack([class_ids, track_ids * 0, track_ids], axis=-1).astype(np.uint8)
        Image.fromarray(png).save(folder / "000000.png")
    file = tmp_path / "classes.yaml"
    file.write_text("classes:\n- {id: 200, name: tram, isthing: 1}\nvoid: 0\n")
    result = evaluate(tmp_path / "gt", tmp_path / "pred", classes=file)
    assert result["PAT"] == 1.0
    assert list(result["per_class"]) == ["tram"]


def test_a_built_in_class_set_goes_by_its_name(folders):
    for root in folders:
        for number in range(2):
            path = root / "panoptic_maps" / "0002" / f"{number:06d}.png"
            write(path, np.array([[4 * LABEL_DIVISOR + 1, 5 * LABEL_DIVISOR, -1]], np.int32))
    result = evaluate(*folders, classes=Path("motchallenge-step"))
    assert result["conventions"]["things"] == ["person"]
    assert result["per_class"]["person"]["TP"] == 2
    assert {score: result[score] for score in SCORES} == dict.fromkeys(SCORES, 1.0) | {"IDS": 0}


CLASS_FILES = {
    "[]": "holds list, expected a mapping",
    "{": "is neither JSON nor YAML",
    '{"classes": []}': "classes",
    '{"classes": [{"id": 1, "name": "a"}]}': "isthing",
    '{"classes": [{"id": 300, "name": "a", "isthing": true}]}': "less than or equal to 255",
    '{"classes": [{"id": 1, "name": "a", "isthing": true}, {"id": 1, "name": "b", "isthing": true}]}': "1 is there twice",
    '{"classes": [{"id": 255, "name": "a", "isthing": true}]}': "id 255 is a class and void",
}


@pytest.mark.parametrize("suffix", ["json", "yaml"])
@pytest.mark.parametrize(("text", "message"), CLASS_FILES.items(), ids=list(CLASS_FILES.values()))
def test_a_wrong_class_file_is_told_in_one_line(folders, tmp_path, text, message, suffix):
    file = tmp_path / f"classes.{suffix}"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        evaluate(*folders, classes=file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_the_command_prints_a_table_and_writes_json(folders, tmp_path):
    first_map(folders[1]).unlink()
    out = tmp_path / "scores.json"
    command = ["evaluate", "--gt", str(folders[0]), "--pred", str(folders[1]), "--json", str(out)]
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.output
    assert "1 predicted frame(s) missing (counted as all void): 0002/000000" in run.output
    result = json.loads(out.read_text())
    assert list(result)[:8] == ["PAT", "PQ", "TQ", "PTQ", "sPTQ", "STQ", "SQ", "AQ"]
    assert list(result)[8:14] == ["VPQ", "IDS", "sMOTSA", "MOTSA", "IDF1", "HOTA"]
    assert f"| **all** | {100 * result['PAT']:.2f} |" in run.output
    assert f"| {100 * result['VPQ']:.2f} | 0 |" in run.output
    assert {"per_class", "per_sequence", "conventions"} <= set(result)


def test_memory_hardly_grows_with_the_length_of_a_sequence(classes, random_sequences):
    import pickle

    frames = random_sequences(0)["0000"]
    evaluator, sizes = Evaluator(classes), []
    for _ in range(3):
        for _ in range(20):
            for truth, predicted in frames:
                evaluator.add("0000", truth, predicted)
        sizes.append(
            [len(pickle.dumps(part)) for part in (evaluator.pat, evaluator.stq, evaluator.vpq, evaluator.things)]
        )
    growth = np.diff(sizes, axis=0)[1]
    assert (growth[:3] < 200).all()  # larger numbers in the same tables
    # HOTA remembers which masks touched more than one other: here about one in each frame.
    assert growth[3] < 50 * 20 * len(frames)
