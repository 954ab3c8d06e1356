"""All eight studies run through one runner; a killed one goes on, and a folder of something else is refused."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mapt_ros.cli import app
from mapt_ros.errors import InputError
from mapt_ros.evaluation.evaluate import evaluate
from mapt_ros.evaluation.experiments.inputs import SCENARIOS, Limits
from mapt_ros.evaluation.experiments.maps import slug
from mapt_ros.evaluation.experiments.runner import ExperimentOptions, run_experiment
from mapt_ros.evaluation.experiments.studies import STUDIES
from mapt_ros.evaluation.experiments.study import TrackingStudy
from mapt_ros.model.checkpoint import save_checkpoint
from mapt_ros.model.mapt import MAPT


@pytest.fixture
def run(tmp_path, street, tiny_weights):
    """Runs a study on the street; returns its results, after a look at its files."""

    def call(name: str, **options) -> dict:
        options = {"data": (street,), "weights": str(tiny_weights), "device": "cpu", "out": tmp_path / "out"} | options
        results = run_experiment(ExperimentOptions(name, **options))
        out = options["out"]
        assert json.loads((out / "results.json").read_text()) == results
        assert cv2.imread(str(out / "plot.png")).std() > 0
        table = (out / "table.md").read_text()
        assert results["question"] in table and results["weights"]["hash"] in table
        return results

    return call


def test_stq_vs_pat_sweeps_all_thresholds(run):
    results = run("stq-vs-pat", limits=Limits(sequences=1))
    assert len(results["rows"]) == 1 + 3**3
    assert results["rows"][0]["fusion"] == "chosen" and results["findings"]["front"]


def test_ablation_scores_what_evaluate_scores(run, street, tmp_path):
    results = run("ablation")
    assert results["conventions"]["correct"] and results["versions"]["torch"]
    combined = next(row for row in results["rows"] if row["association"] == "combined")
    # `mapt evaluate` takes the maps that the study leaves.
    scored = evaluate(street / "panoptic_maps" / "val", tmp_path / "out" / "maps" / slug(street.name) / "combined")
    assert {name: combined["scores"][name] for name in ("PAT", "STQ", "IDS")} == {
        name: scored[name] for name in ("PAT", "STQ", "IDS")
    }


def test_fusion_order_looks_at_the_occluded_sequence(run, street):
    assert list(run("fusion-order")["data"][street.name]["sequences"]) == ["0001"]


def test_rapid_motion_sees_every_frame_for_each_n(run):
    rows = run("rapid-motion")["rows"]
    assert {row["scores"]["track-frames"] for row in rows} == {3 * 4 + 3 * 4 - 1}
    displacements = [row["scores"]["displacement"] for row in rows if row["association"] == "combined"]
    assert displacements[0] < displacements[1] < displacements[2]
    assert displacements[4] is None  # four frames have no fifth


def test_interval_compares_the_checkpoints_given(run, tiny_weights):
    results = run(
        "interval", limits=Limits(sequences=1, frames=2), checkpoints=(f"tau 1={tiny_weights}", f"other={tiny_weights}")
    )
    assert [row["trained with"] for row in results["rows"]] == ["tau 1", "tau 1", "other", "other"]
    assert set(results["checkpoints"]) == {"tau 1", "other"}


def test_interval_refuses_a_checkpoint_of_other_classes(run, tmp_path, tiny_config):
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, MAPT(tiny_config.model_copy(update={"class_set": "motchallenge-step"})))
    with pytest.raises(
        InputError, match="checkpoint 'a': has the classes of motchallenge-step, .* those of kitti-step"
    ):
        run("interval", checkpoints=(f"a={other}",))
    assert not (tmp_path / "out").exists()


def test_failure_cases_stand_beside_an_iou_tracker(run, tmp_path, street):
    for scenario in SCENARIOS:
        (tmp_path / "data" / scenario).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / scenario).symlink_to(street)
    rows = run("failure-cases", data=(tmp_path / "data",), limits=Limits(sequences=1, frames=3))["rows"]
    assert [(row["scenario"], row["tracker"]) for row in rows[:2]] == [
        ("rapid-motion", "MAPT"),
        ("rapid-motion", "plain IoU tracker"),
    ]
    assert len(rows) == 8 and rows[0]["scores"]["PQ"] == rows[1]["scores"]["PQ"]


def test_cross_dataset_has_a_row_a_dataset(run, street, tmp_path, tiny_drive, write_street):
    write_street(tmp_path / "second", tiny_drive[:2], "0000")
    rows = run("cross-dataset", data=(street, tmp_path / "second"), limits=Limits(sequences=1))["rows"]
    assert [row["data"] for row in rows] == [street.name, "second"]
    assert rows[1]["scores"]["track-frames"] == 6


def test_flow_baseline_tabulates_costs(run, tmp_path, write_street, monkeypatch):
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))  # no weights of RAFT, and no way to them
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setitem(STUDIES, "flow-baseline", replace(STUDIES["flow-baseline"], repeats=1))
    labels = np.zeros((128, 128), np.int32)
    labels[40:80, 40:80] = (13 << 24) + 1
    write_street(tmp_path / "large", [(np.zeros((128, 128, 3), np.uint8), labels)] * 2, "0000")
    results = run("flow-baseline", data=(tmp_path / "large",))
    methods = {row["method"]: row["scores"] for row in results["rows"]}
    assert methods["motion head"]["gmacs"] < methods["RAFT-small"]["gmacs"]
    assert methods["motion head"]["things"] == 1
    assert "993" in (tmp_path / "out" / "table.md").read_text()


def test_a_killed_study_loses_no_sequence_that_was_done(run, tmp_path, street):
    whole = run("ablation")
    maps = tmp_path / "out" / "maps" / slug(street.name)
    first, second = (sorted((maps / "combined" / "panoptic_maps" / name).iterdir()) for name in ("0000", "0001"))
    before = [path.stat().st_mtime_ns for path in first]
    # As if it had been killed in the second sequence.
    (maps / "propagation" / "0001.json").unlink()
    second[0].write_bytes(b"")
    (tmp_path / "out" / "results.json").unlink()
    assert run("ablation") == whole
    assert [path.stat().st_mtime_ns for path in first] == before


def test_a_sequence_that_has_grown_is_tracked_anew(run, tmp_path, tiny_drive, write_street):
    for count in (2, 3):
        write_street(tmp_path / "data", tiny_drive[:count], "0000")
        rows = run("cross-dataset", data=(tmp_path / "data",))["rows"]
        assert rows[0]["scores"]["track-frames"] == 3 * count


def test_a_folder_of_another_study_is_refused_but_more_sequences_go_on(run, street):
    run("ablation", limits=Limits(sequences=1, frames=2))
    with pytest.raises(InputError, match="was begun with study ablation, not cross-dataset"):
        run("cross-dataset", limits=Limits(sequences=1, frames=2))
    with pytest.raises(InputError, match="was begun with frames 2, not 3"):
        run("ablation", limits=Limits(sequences=1, frames=3))
    with pytest.raises(InputError, match="was begun with split unset, not val"):  # both may have a sequence 0000
        run("ablation", limits=Limits("val", sequences=1, frames=2))
    more = run("ablation", limits=Limits(frames=2))
    assert more["data"][street.name]["sequences"] == {"0000": 2, "0001": 2}


def test_results_of_something_else_are_not_written_over(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text("mine")
    with pytest.raises(InputError, match="holds results that are no study's"):
        run("ablation")
    assert (tmp_path / "out" / "results.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("ablatoin", {}, "experiment 'ablatoin': there are ablation, fusion-order"),
        ("ablation", {"seed": 3}, "seed: only the study failure-cases takes it, not ablation"),
        ("cross-dataset", {"checkpoints": ("a=b",)}, "checkpoints: only the study interval"),
        ("interval", {"checkpoints": ("a=b",), "steps": 5}, "leave train-data, recipe and steps out"),
        ("interval", {"recipe": "none-such"}, "no such bundled recipe"),
        ("ablation", {"weights": "none-such"}, "weights 'none-such': bundled are"),
        ("ablation", {"limits": Limits(split="test")}, "has no split 'test'; it has val"),
    ],
)
def test_wrong_options_are_told_and_leave_no_folder(run, tmp_path, name, options, complaint):
    with pytest.raises(InputError, match=complaint):
        run(name, **options)
    assert not (tmp_path / "out").exists()


def test_every_variant_has_a_folder_and_every_column_a_measure(run):
    measured = run("ablation", limits=Limits(sequences=1, frames=2))["rows"][0]["scores"]
    for study in STUDIES.values():
        if isinstance(study, TrackingStudy):
            assert len({slug(variant.name) for variant in study.variants}) == len(study.variants)
            assert set(study.columns) <= set(measured)


def test_the_command_prints_the_table(tmp_path, street, tiny_weights):
    arguments = ["experiment", "ablation", "--data", str(street), "--out", str(tmp_path / "out")]
    arguments += ["--weights", str(tiny_weights), "--device", "cpu", "--sequences", "1", "--frames", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "| motion only |" in result.stdout and (tmp_path / "out" / "table.md").read_text() == result.stdout
    assert json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["study"] == "ablation"
