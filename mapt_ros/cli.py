"""The command ``mapt``: parses arguments, calls one function a command, turns bad input into one line and exit code 2."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mapt_ros.errors import InputError
from mapt_ros.threads import keep_memory, share_cores

app = typer.Typer(
    name="mapt",
    help="Panoptic tracking from a vehicle's camera (MAPT): ROS 2 node, offline tracking, replay.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
bag_app = typer.Typer(help="Write KITTI folders as rosbag2, play bags over DDS.", no_args_is_help=True)
app.add_typer(bag_app, name="bag")
data_app = typer.Typer(help="Labelled datasets: KITTI-STEP, MOTChallenge-STEP, BDD100K.", no_args_is_help=True)
app.add_typer(data_app, name="data")

# Everything heavy (torch, OpenCV, rclpy) is imported inside the commands, so that `mapt --help` answers at once.

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Weights = Annotated[str, typer.Option(help="A bundled checkpoint's name, or a .safetensors file.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


@app.command()
def track(
    source: Annotated[Path, typer.Argument(help="Image folder, video, or ROS 1 / ROS 2 bag.")],
    out: Annotated[Path, typer.Option(help="Output folder.")],
    weights: Weights = "compact",
    device: Device = "auto",
    topic: Annotated[str | None, typer.Option(help="Image topic of a bag that has several.")] = None,
    video: Annotated[Path | None, typer.Option(help="Also write an overlay video.")] = None,
    bag: Annotated[Path | None, typer.Option(help="Also write a rosbag2 of PanopticFrame messages.")] = None,
    as_json: Json = False,
) -> None:
    """Track offline and deterministically: KITTI-STEP panoptic maps, tracks.jsonl and summary.json."""
    from mapt_ros.replay.track import track_source

    _report(track_source(source, out, weights=weights, device=device, topic=topic, video=video, bag=bag), as_json)


@bag_app.command("write")
def bag_write(
    source: Annotated[Path, typer.Argument(help="KITTI folder: raw drive, tracking or STEP layout.")],
    out: Annotated[Path, typer.Argument(help="rosbag2 folder to create.")],
    topic: Annotated[str, typer.Option(help="Image topic; camera_info goes beside it.")] = "/image",
    storage: Annotated[str, typer.Option(help="mcap or sqlite3.")] = "mcap",
    sequence: Annotated[str | None, typer.Option(help="Sequence of a folder that has several.")] = None,
    calib: Annotated[Path | None, typer.Option(help="KITTI calibration file, where the folder has none.")] = None,
    as_json: Json = False,
) -> None:
    """Write a KITTI folder as a rosbag2 with image and camera_info."""
    from mapt_ros.replay.bags import write_bag

    summary = write_bag(source, out, topic=topic, storage=storage, sequence=sequence, calibration=calib)
    _report(summary, as_json)


@bag_app.command("play")
def bag_play(
    bag: Annotated[Path, typer.Argument(help="ROS 1 or ROS 2 bag.")],
    rate: Annotated[
        float, typer.Option(help="Speed relative to the stamps; 0 = as fast as the subscribers take it.")
    ] = 1.0,
    loop: Annotated[int, typer.Option(help="How often to play it.")] = 1,
    as_json: Json = False,
) -> None:
    """Play a bag over DDS with /clock, where `ros2 bag` is not installed."""
    from mapt_ros.ros.player import play_bag

    _report(play_bag(bag, rate=rate, loop=loop), as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def node(context: typer.Context) -> None:
    """Start the ROS 2 node; takes --ros-args as `ros2 run mapt_ros mapt_node` does."""
    from mapt_ros.ros.node import main as node_main

    raise SystemExit(node_main(context.args))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("out/demo"),
    weights: Weights = "compact",
    as_json: Json = False,
) -> None:
    """The main job: a procedural drive as a bag, the real node over DDS, its output recorded and drawn."""
    from mapt_ros.ros.demo import run_demo

    _report(run_demo(out, weights=weights), as_json)


@app.command()
def train(
    config: Annotated[str, typer.Argument(help="A recipe: YAML file or bundled name.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; out/train/RECIPE without.")] = None,
    data: Annotated[Path | None, typer.Option(help="A dataset folder instead of the recipe's data.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all; the stages keep their shares.")] = None,
    init: Annotated[str | None, typer.Option(help="Weights to start from: a name or a .safetensors file.")] = None,
    grow: Annotated[bool, typer.Option("--grow", help="The network may have parts that these weights lack.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="That train together; one a GPU, or one a core, without.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train by a recipe: checkpoints, learning curves, sample overlays and weights in the run's folder."""
    from mapt_ros.training.command import TrainingOptions
    from mapt_ros.training.command import train as run_train

    _report(run_train(TrainingOptions(config, out, data, steps, init, grow, resume, processes, device)), as_json)


@app.command()
def bench(
    config: Annotated[str, typer.Option(help="A bundled config's name, or a YAML file.")] = "compact",
    size: Annotated[str, typer.Option(help="Image size, HEIGHTxWIDTH.")] = "375x1242",
    device: Device = "auto",
    instances: Annotated[int, typer.Option(min=1, help="Detections and tracks of every camera.")] = 20,
    cameras: Annotated[int, typer.Option(min=1, help="Images in one batch.")] = 1,
    precision: Annotated[str, typer.Option(help="fp32, bf16 or, on CUDA, fp16.")] = "fp32",
    repeats: Annotated[int, typer.Option(min=1, help="Measured frames.")] = 5,
    graphs: Annotated[
        bool | None, typer.Option("--graphs/--no-graphs", help="CUDA graphs; without, wherever there is CUDA.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result as JSON.")] = None,
) -> None:
    """Time, GMACs and memory traffic of every stage of a frame, beside torchvision's Mask R-CNN in the same run."""
    from mapt_ros.evaluation.bench import bench as run_bench
    from mapt_ros.evaluation.bench import table
    from mapt_ros.replay.files import write_beside

    result = run_bench(
        config,
        size=size,
        device=device,
        instances=instances,
        cameras=cameras,
        precision=precision,
        repeats=repeats,
        graphs=graphs,
    )
    print(table(result))
    if json_file is not None:
        write_beside(json_file, (json.dumps(result, indent=1) + "\n").encode())


@app.command()
def evaluate(
    gt: Annotated[
        Path, typer.Option(help="Ground truth: [panoptic_maps/][SPLIT/]SEQUENCE/%06d.png; of several splits name one.")
    ],
    pred: Annotated[Path, typer.Option(help="Predictions in the same layout.")],
    classes: Annotated[
        Path | None, typer.Option(help="JSON or YAML file with the classes, or motchallenge-step; KITTI-STEP without.")
    ] = None,
    min_area: Annotated[int, typer.Option(min=0, help="Pixels under which PAT, PQ and VPQ overlook segments.")] = 0,
    devkit_exact: Annotated[
        bool, typer.Option("--devkit-exact", help="PAT as the nuScenes devkit computes it, oddities included.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result, per class too, as JSON.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a page with tables, timelines of ids and the worst frames.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The report's images, SEQUENCE/%06d.png; beside the ground truth without.")
    ] = None,
) -> None:
    """Score predictions against ground truth: PAT PQ TQ PTQ sPTQ, STQ SQ AQ, VPQ, IDS sMOTSA MOTSA IDF1 HOTA."""
    from mapt_ros.evaluation.evaluate import score_folders, table
    from mapt_ros.evaluation.report import check_report, write_report
    from mapt_ros.replay.files import write_beside

    if report is not None:
        check_report(report, images)
    elif images is not None:
        raise InputError("--images: says where the pictures of --report come from; name a folder for that too")
    scored = score_folders(
        gt,
        pred,
        classes=classes,
        min_area=min_area,
        devkit_exact=devkit_exact,
        processes=os.cpu_count() or 1,
        stories=report is not None,
    )
    print(table(scored.result))
    if report is not None:
        page = write_report(report, scored, truth=gt, predicted=pred, images=images)
        print(f"\nreport: {page}")
    if json_file is not None:
        write_beside(json_file, (json.dumps(scored.result, indent=1) + "\n").encode())


@app.command()
def experiment(
    name: Annotated[
        str,
        typer.Argument(
            help="ablation, fusion-order, rapid-motion, interval, failure-cases, cross-dataset, flow-baseline, stq-vs-pat."
        ),
    ],
    data: Annotated[list[Path], typer.Option(help="Dataset folder; cross-dataset takes several.")],
    out: Annotated[Path, typer.Option(help="Folder for results.json, table.md, plot.png; goes on where it was.")],
    weights: Weights = "compact",
    device: Device = "auto",
    split: Annotated[str | None, typer.Option(help="train, val, ...; all that have labels unless said.")] = None,
    sequences: Annotated[int | None, typer.Option(min=1, help="How many sequences; all unless said.")] = None,
    frames: Annotated[int | None, typer.Option(min=2, help="Only the first so many of each sequence.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="failure-cases: of scenarios that it draws.")] = None,
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="interval: NAME=FILE, several times; without, it trains.")
    ] = None,
    train_data: Annotated[Path | None, typer.Option(help="interval: trains on this instead of the recipe's.")] = None,
    recipe: Annotated[str | None, typer.Option(help="interval: trains by its last stage; a name or a file.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="interval: of each training; 200 unless said.")] = None,
    as_json: Json = False,
) -> None:
    """Run one of the studies on your data: results.json, a table and a plot."""
    from mapt_ros.evaluation.experiments.inputs import Limits
    from mapt_ros.evaluation.experiments.runner import ExperimentOptions, run_experiment

    limits = Limits(split, sequences, frames)
    result = run_experiment(
        ExperimentOptions(
            name,
            tuple(data),
            out,
            weights=weights,
            device=device,
            limits=limits,
            seed=seed,
            checkpoints=tuple(checkpoint or ()),
            train_data=train_data,
            recipe=recipe,
            steps=steps,
        )
    )
    if as_json:
        _report(result, as_json)
    else:
        print((out / "table.md").read_text(), end="")


@data_app.command("check")
def data_check(
    folder: Annotated[Path, typer.Argument(help="Dataset: KITTI-STEP's layout, or BDD100K's segmentation tracking.")],
    split: Annotated[str | None, typer.Option(help="train, val, ...; all that have labels unless said.")] = None,
    as_json: Json = False,
) -> None:
    """Read every file of a dataset, name the first broken one, tell what the dataset holds."""
    from mapt_ros.data.check import check_dataset, table

    result = check_dataset(folder, split)
    if as_json:
        _report(result, as_json)
    else:
        print(table(result))


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="Folder to write the KITTI-STEP layout into.")],
    seed: Annotated[int, typer.Option(help="Of the set; other seeds share no sequence with it.")] = 0,
    sequences: Annotated[int, typer.Option(help="How many sequences.")] = 8,
    frames: Annotated[int, typer.Option(help="Frames of each sequence, ten a second.")] = 40,
    scenario: Annotated[
        str, typer.Option(help="mixed, rapid-motion, occlusion, lookalikes, crowd or cyclists.")
    ] = "mixed",
    size: Annotated[str, typer.Option(help="Image size, HEIGHTxWIDTH.")] = "192x640",
    drive: Annotated[
        int | None,
        typer.Option(help="Frames of the drives that the sequences are stretches of; their own length unless said."),
    ] = None,
    split: Annotated[str, typer.Option(help="train or val.")] = "train",
    as_json: Json = False,
) -> None:
    """Write driving sequences of the procedural world with exact labels; sequences already there are kept."""
    from mapt_ros.synthetic.write import parse_size, synthesise

    height, width = parse_size(size)
    summary = synthesise(
        out,
        seed=seed,
        sequences=sequences,
        frames=frames,
        scenario=scenario,
        height=height,
        width=width,
        drive=drive,
        split=split,
        processes=os.cpu_count() or 1,
    )
    _report(summary, as_json)


def _report(result: dict, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        typer.echo(f"{key}: {value}")


def _is_of_ros(module: str) -> bool:
    """Whether a module comes with a ROS installation, or is built where there is one."""
    package = module.split(".")[0]
    return (
        package in ("rclpy", "cv_bridge")
        or package.endswith(("_msgs", "_srvs", "_interfaces"))
        or module == "mapt_ros.msg"
    )


def main() -> None:
    """Entry point of the console script."""
    share_cores()
    keep_memory()
    try:
        app()
    except InputError as error:
        print(f"mapt: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except ModuleNotFoundError as error:
        if not _is_of_ros(error.name or ""):
            raise
        print(f"mapt: no ROS 2 here ({error.name}); source a ROS installation or run make setup", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
