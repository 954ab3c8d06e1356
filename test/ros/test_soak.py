"""What the fault table calls held has held: its judgements see what they are there for, and it keeps what it measured."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

from benchmarks.soak import lives
from benchmarks.soak.__main__ import table, write_results
from benchmarks.soak.outcome import Outcome, Plan, attempt
from benchmarks.soak.rig import Answer
from mapt_ros.errors import InputError


def answers(*seen: tuple[int, tuple[int, ...]]) -> list[Answer]:
    """One answer for each (epoch, ids)."""
    return [Answer(0, "camera", epoch, 0, ids, 0.0) for epoch, ids in seen]


@pytest.mark.parametrize(
    ("seen", "holds"),
    [
        ([(0, (1,)), (0, (1, 2)), (0, (2,)), (0, (1, 3))], True),  # track 1 was only out of sight
        ([(0, (1, 2)), (1, (1,)), (1, (1, 2))], True),
        ([(0, (2,)), (0, (2, 1))], False),
        ([(0, (1,)), (1, (3,)), (1, (2, 3))], False),
    ],
    ids=["grow", "begin again in the next epoch", "go back", "go back in a later epoch"],
)
def test_ids_that_do_not_grow_are_seen(seen, holds):
    outcome = Outcome()
    outcome.expect_new_ids_to_grow(answers(*seen))
    assert bool(outcome.problems) != holds


@pytest.mark.parametrize(
    ("memory", "holds"),
    [
        ([50.0, *[100.0] * 9], True),  # warming up
        ([100.0 + 3 * i for i in range(10)], False),
        ([100.0, 100.0, 180.0, 100.0, 101.0], True),
    ],
    ids=["warming up", "grows", "a peak"],
)
def test_memory_that_grows_after_warming_up_is_seen(memory, holds):
    outcome = Outcome()
    outcome.expect_no_growth("memory", memory)
    assert bool(outcome.problems) != holds
    assert outcome.measured["memory MB"].endswith(f"{memory[-1]:.0f}")


@pytest.mark.parametrize(
    "error", [InputError("never came: an answer"), subprocess.TimeoutExpired("node", 60), KeyError(1)]
)
def test_a_fault_that_breaks_off_is_a_problem_and_not_the_end_of_the_others(tmp_path, error):
    def fault(plan: Plan, outcome: Outcome) -> None:
        outcome.measured["before"] = 1
        raise error

    outcome = attempt(fault, Plan(tmp_path, 1.0, 1.0, "compact"))
    assert outcome.measured == {"before": 1}
    (problem,) = outcome.problems
    assert problem.startswith("broke off: ")


def test_what_did_not_hold_stands_in_the_table_and_in_the_file(tmp_path):
    good, bad = Outcome("5 loops", {"frames": 100}), Outcome("3 kills", {}, ["frame 7 was not answered"])
    rows = table({"loop": good, "kill": bad}).splitlines()[2:]
    assert rows[0].endswith("| 5 loops | frames 100 | yes |")
    assert rows[1].endswith("| 3 kills |  | **no**: frame 7 was not answered |")
    write_results({"loop": good, "kill": bad}, tmp_path / "soak.json")
    kept = json.loads((tmp_path / "soak.json").read_text())
    assert kept["loop"]["measured"] == {"frames": 100} and kept["kill"]["problems"] == bad.problems


def test_what_a_kill_leaves_under_a_final_name_must_be_whole(tmp_path):
    folder = tmp_path / "0000"
    folder.mkdir()
    (folder / lives.TRACKS).write_text('{"track_id": 1}\n')
    (folder / f".{lives.VIDEO}.part").write_bytes(b"begun")
    (whole,) = lives._results(tmp_path)  # what is hidden was never finished
    outcome = Outcome()
    assert lives._check(whole, outcome) and not outcome.problems
    for name, content in ((lives.TRACKS, b'{"track_id": '), (lives.VIDEO, b"begun"), ("summary.json", b"{}")):
        (folder / name).write_bytes(content)
        outcome = Outcome()
        assert not lives._check(folder / name, outcome) and outcome.problems, name


def test_a_fault_runs_over_dds_and_its_row_is_printed(tmp_path):
    """The least of random settings, on a node in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--faults", "parameters", "--scale", "0", "--json", "soak.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| 50 settings | taken" in done.stdout and done.stdout.rstrip().endswith("| yes |")
    result = json.loads((tmp_path / "soak.json").read_text())["parameters"]
    assert result["problems"] == []
    assert result["measured"]["taken"] + result["measured"]["refused"] == 50
