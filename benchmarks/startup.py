"""How long a user waits: ``mapt --help``, and import + load + first frame of the shipped weights, in fresh processes.

python -m benchmarks.startup [--weights compact] [--size 192x640] [--repeats 3]
"""

import argparse
import json
import os
import subprocess
import sys
import time

FIRST_FRAME = """
import json, sys, time
steps, begun = {}, time.perf_counter()
def done(name):
    steps[name] = time.perf_counter() - begun
from mapt_ros import PanopticTracker
done("imported")
tracker = PanopticTracker.load(sys.argv[1])
done("loaded")
import numpy as np
tracker(np.zeros((int(sys.argv[2]), int(sys.argv[3]), 3), np.uint8))
done("first frame")
print(json.dumps(steps))
"""


def main() -> None:
    """Prints the fastest of several, wall and CPU seconds since the process began."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="compact")
    parser.add_argument("--size", default="192x640")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    runs = {
        "mapt --help": [sys.executable, "-m", "mapt_ros.cli", "--help"],
        "first frame": [sys.executable, "-c", FIRST_FRAME, options.weights, *options.size.split("x")],
    }
    for name, command in runs.items():
        wall, cpu, output = min((_timed(command) for _ in range(options.repeats)), key=lambda timing: timing[1])
        print(f"{name}: {wall:.2f} s, {cpu:.2f} s of CPU time")
        if name == "first frame":
            print(
                "  " + ", ".join(f"{step} after {s:.2f} s" for step, s in json.loads(output.splitlines()[-1]).items())
            )


def _timed(command: list[str]) -> tuple[float, float, str]:
    begun, before = time.perf_counter(), os.times()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begun, cpu, output


if __name__ == "__main__":
    main()
