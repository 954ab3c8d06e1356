"""What every fault gets, and what it hands back."""

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.soak.rig import Answer, NodeProcess
from mapt_ros.errors import InputError

GROWTH_MB = 20.0  # an allocator's own ups and downs stay below
END_S = 2.0


@dataclass(frozen=True)
class Plan:
    """How much to do.

    Attributes:
        folder: scratch space of this fault alone.
        scale: share of the full counts.
        minutes: for the run with real weights.
        weights: their name or file.
        seed: of everything random.
    """

    folder: Path
    scale: float
    minutes: float
    weights: str
    seed: int = 0

    def count(self, full: int, least: int = 3) -> int:
        """How often, of a full run's ``full`` times."""
        return max(min(least, full), round(full * self.scale))


@dataclass
class Outcome:
    """What a fault did.

    Attributes:
        ran: with which counts.
        measured: name -> value.
        problems: what did not hold; empty if all did.
    """

    ran: str = ""
    measured: dict = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def expect(self, holds: bool, problem: str) -> None:
        """Notes a problem unless it holds."""
        if not holds:
            self.problems.append(problem)

    def expect_no_growth(self, name: str, values: list[float]) -> None:
        """Notes memory (MB) over a run; the first fifth is warming up."""
        begun = values[len(values) // 5]
        growth = max(values[-1] - begun, 0.0)
        self.measured[f"{name} MB"] = f"{begun:.0f} → {values[-1]:.0f}"
        self.expect(growth < GROWTH_MB, f"{name} grew by {growth:.0f} MB")

    def expect_new_ids_to_grow(self, answers: list[Answer]) -> None:
        """Within an epoch an id that was not there before is higher than all before it."""
        epoch, highest, seen = None, 0, set()
        for answer in answers:
            if answer.epoch != epoch:
                epoch, highest, seen = answer.epoch, 0, set()
            for track_id in sorted(set(answer.ids) - seen):
                self.expect(track_id > highest, f"id {track_id} is new after {highest} in epoch {epoch}")
                highest = max(highest, track_id)
                seen.add(track_id)
        self.measured["ids"] = highest

    def end(self, node: NodeProcess) -> None:
        """Ends the node and looks at how it ended and what it said."""
        if node.process.poll() is not None:
            self.problems.append(f"the node ended with exit code {node.process.returncode}")
            return
        code, seconds = node.end()
        self.measured["end s"] = max(round(seconds, 2), self.measured.get("end s", 0.0))
        self.expect(code == 0, f"exit code {code} after SIGTERM")
        self.expect(seconds <= END_S, f"ended {seconds:.1f} s after SIGTERM")
        log = node.log.read_text(errors="replace")
        for word in ("Traceback", "callback failed", "terminate called"):
            self.expect(word not in log, f"its log has {word!r}")


def attempt(fault, plan: Plan) -> Outcome:
    """Runs a fault; whatever broke it off is one more problem, so that the others still run."""
    outcome = Outcome()
    try:
        fault(plan, outcome)
    except InputError as error:
        outcome.problems.append(f"broke off: {error}")
    except Exception as error:  # noqa: BLE001 - a report of hours must not be lost to one fault's mistake
        outcome.problems.append(f"broke off: {type(error).__name__}: {error}")
    return outcome
