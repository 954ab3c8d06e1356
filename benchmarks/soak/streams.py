"""Faults of the images themselves: long streams, broken messages, replays that loop, stamps of all kinds."""

import random
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from benchmarks.soak.outcome import Outcome, Plan
from benchmarks.soak.rig import PERIOD_NS, SECOND, SIZE, START_NS, Client, client, image, node, player, write_drive
from mapt_ros.data.dataset import open_dataset
from mapt_ros.replay.decode import LAYOUTS
from mapt_ros.synthetic.write import synthesise
from mapt_ros.tracking.stamps import judge_stamp

RATE_HZ = 20
STEADY = 0.8  # share of it that every tenth of the run must reach
LOOP_FRAMES = 20
BACK_JUMP_NS, MAX_GAP_NS = SECOND // 2, 2 * SECOND  # the node's defaults
MALFORMED = {
    "step": {"step": 3 * SIZE[1] - 1},
    "data": {"data": b"\0" * 100},
    "size": {"width": 0},
    "encoding": {"encoding": "rgb9"},
    "8k x 8k": {"width": 8192, "height": 8192, "step": 3 * 8192},
}
CAUSES = {"8k x 8k": "data"}  # where the cause has another name: the header says more than there is


def steady(plan: Plan, outcome: Outcome) -> None:
    """A camera at 20 Hz for long with a network that does nothing; every image is answered."""
    frames = plan.count(10_000, least=200)
    outcome.ran = f"{frames} frames at {RATE_HZ} Hz"
    with node(plan.folder) as process, client() as camera:
        camera.wait_for_node()
        memory, threads = [], process.threads()
        begun_s = time.monotonic()
        for number in range(frames):
            time.sleep(max(0.0, begun_s + number / RATE_HZ - time.monotonic()))
            camera.send(image(START_NS + number * SECOND // RATE_HZ))
            if number % max(1, frames // 20) == 0:
                memory.append(process.memory_mb())
        camera.wait_for_answers(frames)
        outcome.expect(
            [a.stamp_ns for a in camera.answers] == [START_NS + i * SECOND // RATE_HZ for i in range(frames)],
            f"{len(camera.answers)} of {frames} answered, or out of order",
        )
        slowest, fastest = _rates([a.heard_s for a in camera.answers])
        outcome.measured["rate Hz"] = f"{slowest:.1f} to {fastest:.1f}"
        outcome.expect(slowest > STEADY * RATE_HZ, f"a tenth of the answers came at {slowest:.1f} Hz only")
        outcome.expect(process.threads() == threads, f"threads {threads} → {process.threads()}")
        outcome.expect_no_growth("memory", memory)
        outcome.expect_new_ids_to_grow(camera.answers)
        outcome.end(process)


def weights(plan: Plan, outcome: Outcome) -> None:
    """Real weights as fast as they go, on a procedural drive to and fro."""
    outcome.ran = f"{plan.minutes:g} min with {plan.weights}"
    drive = plan.folder / "drive"
    synthesise(drive, seed=300_000, sequences=1, frames=10, split="val")
    (sequence,) = open_dataset(drive, "val").sequences
    pictures = [sequence.frame(i)[0] for i in range(len(sequence))]
    pictures += pictures[-2:0:-1]
    with node(plan.folder, network=plan.weights) as process, client() as camera:
        camera.wait_for_node()
        memory, cpu_s, number = [], [], 0
        deadline = time.monotonic() + 60 * plan.minutes
        while time.monotonic() < deadline or number < 40:
            stamp_ns = START_NS + number * PERIOD_NS
            camera.send(image(stamp_ns, pixels=pictures[number % len(pictures)]))
            number += 1
            outcome.expect(camera.answered(stamp_ns), f"frame {number} was not answered")
            memory.append(process.memory_mb())
            cpu_s.append(process.cpu_s())
        fifth = max(1, number // 5)
        early, late = ((cpu_s[i + fifth] - cpu_s[i]) / fifth * 1e3 for i in (fifth, number - fifth - 1))
        outcome.measured |= {"frames": number, "CPU ms a frame": f"{early:.0f} → {late:.0f}"}
        outcome.expect(late < 1.3 * early, f"CPU time a frame grew from {early:.0f} to {late:.0f} ms")
        outcome.measured["rate Hz"] = "{:.1f} to {:.1f}".format(*_rates([a.heard_s for a in camera.answers]))
        outcome.expect_no_growth("memory", memory)
        outcome.expect_new_ids_to_grow(camera.answers)
        outcome.end(process)


def malformed(plan: Plan, outcome: Outcome) -> None:
    """One image in twenty is broken in one of five ways."""
    frames = plan.count(10_000, least=200)
    choose = random.Random(plan.seed)
    broken = {number: choose.choice(list(MALFORMED)) for number in range(frames) if choose.random() < 0.05}
    outcome.ran = f"{frames} images, {len(broken)} malformed"
    with node(plan.folder) as process, client() as camera:
        camera.wait_for_node()
        for number in range(frames):
            camera.send(image(_stamp(number), **MALFORMED.get(broken.get(number), {})))
            good = number + 1 - sum(b <= number for b in broken)
            if number % 50 == 49 and not camera.wait_for_answers(good):
                break
        camera.wait_for_answers(frames - len(broken))
        outcome.expect(
            [a.stamp_ns for a in camera.answers] == [_stamp(i) for i in range(frames) if i not in broken],
            f"{len(camera.answers)} of {frames - len(broken)} good images answered",
        )
        values = camera.camera_values()
        kinds = list(broken.values())
        for cause in ("step", "data", "size", "encoding"):
            sent = sum(kinds.count(kind) for kind in MALFORMED if CAUSES.get(kind, kind) == cause)
            counted = int(values.get(f"dropped_{cause}", 0))
            outcome.measured[cause] = counted
            outcome.expect(counted == sent, f"{sent} images were malformed by {cause}, {counted} counted")
        outcome.end(process)


def messages(plan: Plan, outcome: Outcome) -> None:
    """Image messages that hypothesis makes up; every 25th is a good one, which must be answered."""
    count = plan.count(5_000, least=100)
    sent = 0
    with node(plan.folder) as process, client() as camera:
        camera.wait_for_node()

        @settings(
            max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(_any_image())
        def send(message: Image) -> None:
            nonlocal sent
            sent += 1
            camera.send(message)
            if sent % 25 == 0:
                good_ns = START_NS + sent * SECOND
                camera.send(image(good_ns, frame_id="good"))
                outcome.expect(camera.answered(good_ns), f"the good image after {sent} was not answered")

        send()
        values = camera.camera_values()
        outcome.ran = f"{sent} messages"
        outcome.measured |= {name: int(n) for name, n in values.items() if name.startswith("dropped_")}
        outcome.measured["good answered"] = sum(a.frame_id == "good" for a in camera.answers)
        outcome.end(process)


def loop(plan: Plan, outcome: Outcome) -> None:
    """A bag that `mapt bag play` plays over and over to a node that follows /clock."""
    loops = plan.count(200, least=5)
    outcome.ran = f"{loops} loops of {LOOP_FRAMES} frames"
    bag = write_drive(plan.folder / "drive", LOOP_FRAMES)
    with node(plan.folder, use_sim_time=True) as process, client() as listener:
        listener.wait_for_node()
        memory = [process.memory_mb()]
        with player(bag, loop=loops) as process_of_player:
            while process_of_player.poll() is None:
                time.sleep(0.5)
                memory.append(process.memory_mb())
        listener.wait_for_answers(loops * LOOP_FRAMES, 10.0)
        code = process_of_player.returncode
        outcome.expect(code == 0, f"the player ended with {code}")
        answers = listener.answers
        epochs = sorted({a.epoch for a in answers})
        outcome.measured |= {"frames": len(answers), "epochs": len(epochs)}
        outcome.expect(len(answers) == loops * LOOP_FRAMES, f"{len(answers)} of {loops * LOOP_FRAMES} answered")
        outcome.expect(epochs == list(range(epochs[0], epochs[0] + loops)), "not one new epoch at every jump back")
        outcome.expect(
            all((a.sequence, a.ids) == (_index(a), (1 + _index(a) // 10,)) for a in answers),
            "ids or sequence did not start anew",
        )
        outcome.expect_no_growth("memory", memory)
        outcome.end(process)


def stamps(plan: Plan, outcome: Outcome) -> None:
    """Stamps shuffled, repeated, of tomorrow and zero: the documented rule decides about each image."""
    count = plan.count(5_000, least=200)
    choose = random.Random(plan.seed)
    sent = []
    for number in range(count):
        kind = choose.random()
        stamp_ns = _stamp(number)
        if kind < 0.1:
            stamp_ns -= choose.randrange(12) * PERIOD_NS
        elif kind < 0.15:
            stamp_ns = sent[-1] if sent else stamp_ns
        elif kind < 0.17:
            stamp_ns += 86_400 * SECOND
        elif kind < 0.2:
            stamp_ns = 0
        sent.append(stamp_ns)
    expected, last_ns, epoch, dropped, restarts = [], None, 0, 0, 0
    for stamp_ns in sent:
        verdict = judge_stamp(stamp_ns, last_ns, back_jump_ns=BACK_JUMP_NS, max_gap_ns=MAX_GAP_NS)
        dropped += verdict.drops
        if not verdict.drops:
            restarts += verdict.restarts
            epoch += verdict.restarts
            last_ns = stamp_ns
            expected.append((stamp_ns, epoch))
    outcome.ran = f"{count} images"
    with node(plan.folder) as process, client() as camera:
        camera.wait_for_node()
        first = camera.call(Trigger, "/mapt/reset", Trigger.Request())
        outcome.expect(first.success, "no reset")
        _send_paced(camera, sent)
        camera.wait_for_answers(len(expected), 10.0)
        base = camera.answers[0].epoch if camera.answers else 0
        got = [(a.stamp_ns, a.epoch - base) for a in camera.answers]
        outcome.measured |= {"answered": len(got), "dropped": count - len(got), "resets": restarts}
        wrong = next((i for i, pair in enumerate(zip(got, expected)) if pair[0] != pair[1]), None)
        outcome.expect(len(got) == len(expected), f"{len(got)} answers, {len(expected)} expected")
        outcome.expect(wrong is None, f"answer {wrong} is not the documented one")
        values = camera.camera_values()
        counted = int(values.get("dropped_late", 0)) + int(values.get("dropped_duplicate", 0))
        outcome.expect(counted == dropped, f"{dropped} images to drop, {counted} counted")
        outcome.end(process)


def _send_paced(camera: Client, sent: list[int]) -> None:
    """Sends in bursts that fit the queue; the service's answer comes behind the images of its burst."""
    for begin in range(0, len(sent), 25):
        before = len(camera.answers)
        for stamp_ns in sent[begin : begin + 25]:
            camera.send(image(stamp_ns))
        camera.wait_for_answers(before + 10, 10.0)
        settled = -1
        while settled != len(camera.answers):
            settled = len(camera.answers)
            time.sleep(0.1)


def _any_image() -> st.SearchStrategy[Image]:
    """Messages from nearly right to wholly absurd."""
    small = st.integers(0, 40)
    number = small | st.integers(0, 2**32 - 1)

    def build(sec, nanosec, frame_id, encoding, height, width, step, big, data) -> Image:
        message = Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=big, data=data)
        message.header.frame_id = frame_id
        message.header.stamp.sec, message.header.stamp.nanosec = sec, nanosec
        return message

    text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
    return st.builds(
        build,
        st.integers(-(2**31), 2**31 - 1),
        st.integers(0, 2**32 - 1),
        text,
        st.sampled_from(list(LAYOUTS)) | text,
        number,
        number,
        st.integers(0, 400) | number,
        st.integers(0, 255),
        st.binary(max_size=4_000),
    )


def _stamp(number: int) -> int:
    return START_NS + number * PERIOD_NS


def _index(answer) -> int:
    return (answer.stamp_ns - START_NS) // PERIOD_NS


def _rates(heard_s: list[float]) -> tuple[float, float]:
    """Slowest and fastest tenth of the answers, in Hz; zeros if there are too few."""
    tenth = max(2, len(heard_s) // 10)
    rates = [
        (tenth - 1) / max(heard_s[i + tenth - 1] - heard_s[i], 1e-9) for i in range(0, len(heard_s) - tenth + 1, tenth)
    ]
    return (min(rates), max(rates)) if rates else (0.0, 0.0)
