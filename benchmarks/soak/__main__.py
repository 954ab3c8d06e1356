"""Runs the table of faults against the node over real DDS, each process on its own, and prints what was measured.

    python -m benchmarks.soak [--minutes 30] [--faults all|NAME ...] [--scale 1.0] [--json FILE]

Full counts take about an hour; ``--scale 0.01 --minutes 1`` runs a short form of everything.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from mapt_ros.ros.domain import use_own_domain

use_own_domain()  # before anything imports rclpy

from benchmarks.soak import lives, streams
from benchmarks.soak.outcome import Outcome, Plan, attempt


class Fault(NamedTuple):
    """A row of the table."""

    run: object
    what: str
    must_hold: str


FAULTS = {
    "steady": Fault(
        streams.steady,
        "10,000 frames at 20 Hz with a network that does nothing",
        "no growth, every image answered in order, ids grow, rate steady",
    ),
    "weights": Fault(streams.weights, "30 min with real weights", "the same; CPU time a frame steady"),
    "malformed": Fault(
        streams.malformed,
        "5 % of 10,000 images malformed (step, data, size, encoding, 8k x 8k header)",
        "each counted and named; every good image answered",
    ),
    "loop": Fault(
        streams.loop, "a bag looped 200 times", "a new epoch at every jump back, ids from 1 again, no growth"
    ),
    "reconnect": Fault(
        lives.reconnect,
        "publisher killed and restarted 50 times, subscriber killed 50 times",
        "the node answers within one frame",
    ),
    "stamps": Fault(
        streams.stamps, "5,000 stamps shuffled, repeated, of tomorrow, zero", "the documented rule, counted"
    ),
    "parameters": Fault(
        lives.parameters, "1,000 random settings while running", "valid ones take effect, invalid ones are refused"
    ),
    "lifecycle": Fault(lives.lifecycle, "100 lifecycle cycles", "same threads, files and memory"),
    "kill": Fault(
        lives.kill,
        "SIGKILL while tracks, video and bags are written; of recorder, player and node; 10 times each",
        "finished files readable, nothing partial under a final name",
    ),
    "messages": Fault(streams.messages, "5,000 Image messages made up by hypothesis", "no exception escapes"),
}


def main() -> int:
    """Prints a table in Markdown; exit code 1 if something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="of the run with real weights")
    parser.add_argument("--faults", nargs="+", default=["all"], choices=["all", *FAULTS], metavar="NAME")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full counts")
    parser.add_argument("--weights", default="compact")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    chosen = list(FAULTS) if "all" in options.faults else options.faults
    results = {}
    for name in chosen:
        print(f"{name}: {FAULTS[name].what}", file=sys.stderr, flush=True)
        begun_s = time.monotonic()
        with TemporaryDirectory(prefix=f"soak_{name}_") as folder:
            plan = Plan(Path(folder), options.scale, options.minutes, options.weights)
            outcome = attempt(FAULTS[name].run, plan)
        results[name] = outcome
        seconds = time.monotonic() - begun_s
        print(
            f"  {'holds' if not outcome.problems else outcome.problems[:5]} ({seconds:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
        if options.json:  # after every fault: what was measured in hours is kept, whatever comes next
            write_results(results, options.json)
    print(table(results))
    return int(any(outcome.problems for outcome in results.values()))


def write_results(results: dict[str, Outcome], path: Path) -> None:
    """All results so far, as JSON."""
    document = {name: {"ran": o.ran, "measured": o.measured, "problems": o.problems} for name, o in results.items()}
    path.write_text(json.dumps(document, indent=1) + "\n")


def table(results: dict[str, Outcome]) -> str:
    """One row a fault."""
    lines = ["| fault | must hold | ran | measured | holds |", "| --- | --- | --- | --- | --- |"]
    for name, outcome in results.items():
        fault = FAULTS[name]
        measured = ", ".join(f"{key} {value}" for key, value in outcome.measured.items())
        holds = "yes" if not outcome.problems else "**no**: " + "; ".join(outcome.problems[:3])
        lines.append(f"| {fault.what} | {fault.must_hold} | {outcome.ran} | {measured} | {holds} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
