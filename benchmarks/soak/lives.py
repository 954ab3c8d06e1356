"""Faults of the processes: publishers, subscribers and writers killed, parameters and transitions in any order."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter, parameter_value_to_python

from benchmarks.soak.outcome import Outcome, Plan
from benchmarks.soak.rig import PATIENCE_S, PERIOD_NS, SIZE, START_NS, client, image, node, player, write_drive
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.ros.recorder import Recorder

CYCLE = (
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
)
MODES = ["combined", "motion", "appearance", "appearance-first", "simultaneous"]
PANOPTIC = {"/mapt/panoptic": "mapt_ros/msg/PanopticFrame"}
TRACKS, VIDEO, BAG = "tracks.jsonl", "overlay.mp4", "panoptic"


def reconnect(plan: Plan, outcome: Outcome) -> None:
    """Cameras and listeners that are killed and come again."""
    cameras, listeners = plan.count(50, least=2), plan.count(50, least=2)
    outcome.ran = f"publisher killed {cameras} times, subscriber {listeners} times"
    firsts = []
    with node(plan.folder, drop_policy="newest") as process, client() as watcher:
        watcher.wait_for_node()
        memory = [process.memory_mb()]
        for run in range(cameras):
            with _victim("camera", str(run)):
                watcher.until(lambda r=run: _answers(watcher, r), f"an answer to camera {run}", 2 * PATIENCE_S)
                firsts.append(_answers(watcher, run)[0])
            memory.append(process.memory_mb())
        outcome.measured["first answered frame of a publisher, latest"] = max(firsts)
        outcome.expect(max(firsts) <= 1, f"answered only from frame {max(firsts)} on")
        outcome.expect_no_growth("memory", memory)
        outcome.end(process)
    # On no-drop terms: what is not answered is then the dead listeners' doing, not that of a busy computer.
    with node(plan.folder) as process, client() as watcher:
        watcher.wait_for_node()
        memory = [process.memory_mb()]
        with _victim("camera", "steady"):
            watcher.until(lambda: _answers(watcher, "steady"), "an answer", 2 * PATIENCE_S)
            for _ in range(listeners):
                with _victim("listen") as listener:
                    listener.stdout.readline()
                memory.append(process.memory_mb())
            before = len(_answers(watcher, "steady"))
            watcher.until(lambda: len(_answers(watcher, "steady")) > before + 3, "answers after the last kill")
        heard = _answers(watcher, "steady")
        longest = max(b - a for a, b in pairwise(heard)) - 1
        outcome.measured |= {"images while subscribers died": len(heard), "longest run unanswered": longest}
        outcome.expect(longest == 0, f"{longest} images in a row were not answered")
        outcome.expect_no_growth("memory while subscribers died", memory)
        outcome.end(process)


def parameters(plan: Plan, outcome: Outcome) -> None:
    """Random values, good and bad, while images are tracked."""
    count = plan.count(1_000, least=50)
    outcome.ran = f"{count} settings"
    choose = random.Random(plan.seed)
    refused = 0
    with node(plan.folder) as process, client() as camera:
        camera.wait_for_node()
        current: dict[str, object] = {}
        for number in range(count):
            name, value, good = _any_setting(choose)
            request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
            (result,) = camera.call(SetParameters, "/mapt/set_parameters", request).results
            outcome.expect(result.successful == good, f"{name} = {value!r}: {'refused' if good else 'taken'}")
            outcome.expect(good or bool(result.reason), f"{name} = {value!r} was refused without a reason")
            refused += not result.successful
            if good:
                current[name] = value
            camera.send(image(START_NS + number * PERIOD_NS))
            outcome.expect(camera.answered(START_NS + number * PERIOD_NS), f"frame {number} was not answered")
        names = list(current)
        values = camera.call(GetParameters, "/mapt/get_parameters", GetParameters.Request(names=names)).values
        for name, value in zip(names, values, strict=True):
            outcome.expect(parameter_value_to_python(value) == current[name], f"{name} is not as it was set last")
        outcome.measured |= {"taken": count - refused, "refused": refused}
        outcome.end(process)


def lifecycle(plan: Plan, outcome: Outcome) -> None:
    """From active back to unconfigured and up again, with an image each time; with weights too."""
    cycles, heavy = plan.count(100, least=6), plan.count(30, least=3)
    outcome.ran = f"{cycles} cycles, {heavy} with {plan.weights}"
    for network, times in (("nothing", cycles), (plan.weights, heavy)):
        with node(plan.folder, network=network) as process, client() as camera:
            camera.wait_for_node()
            held, memory = [], []
            for number in range(times):
                for transition in CYCLE:
                    request = ChangeState.Request(transition=Transition(id=transition))
                    done = camera.call(ChangeState, "/mapt/change_state", request).success
                    outcome.expect(done, f"cycle {number}: transition {transition} failed")
                camera.answers.clear()
                camera.wait_for_node()
                held.append((process.threads(), process.files()))
                memory.append(process.memory_mb())
            first, last = held[min(1, times - 1)], held[-1]
            outcome.measured[f"threads, {network}"] = f"{first[0]} → {last[0]}"
            outcome.measured[f"files, {network}"] = f"{first[1]} → {last[1]}"
            outcome.expect(last[0] <= first[0], f"{network}: threads {first[0]} → {last[0]}")
            outcome.expect(last[1] <= first[1] + 2, f"{network}: open files {first[1]} → {last[1]}")
            outcome.expect_no_growth(f"memory, {network},", memory)
            outcome.end(process)


def kill(plan: Plan, outcome: Outcome) -> None:
    """SIGKILL while tracks, video and bags are written, offline and by the recorder; of the player and the node too."""
    count = plan.count(10, least=2)
    outcome.ran = f"{count} kills each of the offline writer (tracks, video, bag), the recorder, the player, the node"
    _kill_writers(plan, outcome, count)
    drive = write_drive(plan.folder / "drive", 20)
    with node(plan.folder) as process, client() as camera:
        camera.wait_for_node()
        for number in range(count):
            bag = plan.folder / f"recorded{number}"
            with _victim("record", str(bag)) as recorder:
                _feed_until(camera, recorder, number)
            outcome.expect(not bag.exists(), f"{bag.name} is there, although its recorder was killed")
        outcome.measured["bags under a final name after a killed recorder"] = len(list(plan.folder.glob("recorded*")))
        for number in range(count):
            with Recorder(plan.folder / f"player{number}", PANOPTIC) as recorder:
                with player(drive, loop=1_000_000):
                    recorder.wait_for(*PANOPTIC, 5, PATIENCE_S)
                stamp_ns = START_NS + (1 + count + number) * 10**12
                camera.send(image(stamp_ns))
                outcome.expect(camera.answered(stamp_ns), f"no answer after player {number} was killed")
            _check_recording(plan.folder / f"player{number}", recorder, outcome)
        outcome.end(process)
    for number in range(count):
        with (
            Recorder(plan.folder / f"node{number}", PANOPTIC) as recorder,
            player(drive, loop=10**6),
            node(plan.folder),
        ):
            recorder.wait_for(*PANOPTIC, 5, PATIENCE_S)  # the node is killed where its context is left
        _check_recording(plan.folder / f"node{number}", recorder, outcome)
    outcome.measured["whole recordings of a killed player or node"] = sum(
        len(list(plan.folder.glob(f"{party}[0-9]*"))) for party in ("player", "node")
    )


def _kill_writers(plan: Plan, outcome: Outcome, count: int) -> None:
    """Kills processes that write tracks, video and bag at once, and looks at what is under a final name."""
    source = plan.folder / "images"
    source.mkdir()
    noise = np.random.default_rng(0)
    for number in range(30):
        picture = noise.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        cv2.imwrite(str(source / f"{number:06d}.png"), picture)
    choose, whole, cut = random.Random(plan.seed), 0, 0
    for number in range(count):
        out = plan.folder / f"out{number}"
        command = [sys.executable, "-m", "benchmarks.soak.nothing", "write", str(source), str(out)]
        writer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 2 * PATIENCE_S
        while not (out / "0000/summary.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(choose.random() * 2)
        writer.kill()
        writer.wait()
        whole += sum(_check(path, outcome) for path in _results(out))
        cut += any(not (folder / "summary.json").exists() for folder in out.glob("[0-9]*"))
    outcome.measured["finished files, all readable" if not outcome.problems else "readable files"] = whole
    outcome.measured["kills amid a file"] = cut
    outcome.expect(whole > 0, "nothing was finished before a kill")


def _check_recording(bag: Path, recorder: Recorder, outcome: Outcome) -> None:
    """A recording that outlived the others' deaths has all that the recorder counted."""
    frames = len(list(BagReader(bag).messages(*PANOPTIC))) if bag.exists() else 0
    (counted,) = recorder.counts.values()
    outcome.expect(0 < frames == counted, f"{bag.name}: {frames} frames of {counted} recorded")


@contextmanager
def _victim(*arguments: str):
    """A process of victims.py, killed at the end of the context."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak.victims", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _answers(watcher, run) -> list[int]:
    """Numbers of a camera's answered images, in order."""
    return [int(a.frame_id.split(":")[1]) for a in list(watcher.answers) if a.frame_id.startswith(f"{run}:")]


def _feed_until(camera, recorder: subprocess.Popen, number: int) -> None:
    """Sends images until the recorder says that it has one."""
    heard = threading.Event()
    threading.Thread(target=lambda: (recorder.stdout.readline(), heard.set()), daemon=True).start()
    stamp_ns = START_NS + (1 + number) * 10**12
    deadline = time.monotonic() + 2 * PATIENCE_S
    while not heard.wait(0.1) and time.monotonic() < deadline:
        camera.send(image(stamp_ns))
        stamp_ns += PERIOD_NS


def _any_setting(choose: random.Random) -> tuple[str, object, bool]:
    """A parameter, a value, and whether it must be taken."""
    return choose.choice(
        [
            ("score_threshold", choose.random(), True),
            ("score_threshold", 1.0 + choose.random(), False),
            ("score_threshold", "high", False),
            ("association", choose.choice(MODES), True),
            ("association", "magic", False),
            ("max_age", choose.randrange(0, 100), True),
            ("max_age", -1 - choose.randrange(5), False),
            ("publish_lost", choose.random() < 0.5, True),
            ("overlay", choose.random() < 0.5, True),
            ("overlay_scale", 0.1 + choose.random(), True),
            ("overlay_scale", 100.0, False),
            ("input_timeout_s", 0.5 + choose.random(), True),
            ("warn_rate_hz", 10 * choose.random(), True),
            ("weights", "other", False),
            ("cameras", ["front"], False),
            ("drop_policy", "newest", False),
        ]
    )


def _results(out: Path) -> list[Path]:
    """What lies under a final name; hidden names are of work that was not finished."""
    found = []
    for folder in sorted(out.glob("[0-9]*")):
        found += [path for path in folder.glob("panoptic_maps/*/*") if not path.name.startswith(".")]
        found += [folder / name for name in (TRACKS, VIDEO, BAG, "summary.json") if (folder / name).exists()]
    return found


def _check(path: Path, outcome: Outcome) -> bool:
    """Whether a result is whole; notes a problem if not."""
    try:
        if path.suffix == ".png":
            whole = cv2.imread(str(path)) is not None
        elif path.name == TRACKS:
            whole = all(json.loads(line) for line in path.read_text().splitlines())
        elif path.name == VIDEO:
            with av.open(str(path)) as video:
                whole = sum(1 for _ in video.decode(video=0)) == 30
        elif path.name == BAG:
            whole = len(list(BagReader(path).messages("/mapt/panoptic"))) == 30
        else:
            whole = json.loads(path.read_text())["complete"]
    except Exception as error:  # noqa: BLE001 - whatever a reader says, the file is broken
        outcome.problems.append(f"{path}: {error}")
        return False
    outcome.expect(whole, f"{path}: not whole")
    return bool(whole)
