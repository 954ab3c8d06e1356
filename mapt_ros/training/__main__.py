"""``python -m mapt_ros.training CONFIG``: one process of a training; ``torchrun --nproc_per_node=N -m`` starts many."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from mapt_ros.errors import InputError
from mapt_ros.threads import keep_memory, share_cores

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def command(
    config: Annotated[str, typer.Argument(help="A recipe: YAML file or bundled name.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder.")] = None,
    data: Annotated[Path | None, typer.Option(help="A dataset folder instead of the recipe's data.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all; the stages keep their shares.")] = None,
    init: Annotated[str | None, typer.Option(help="Weights to start from.")] = None,
    grow: Annotated[bool, typer.Option("--grow", help="The network may have parts that these weights lack.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Trains as one of the processes that torchrun started, or alone."""
    from mapt_ros.training.command import TrainingOptions, train

    os.environ.setdefault("WORLD_SIZE", "1")
    options = TrainingOptions(config, out, data, steps, init, grow, resume, device=device)
    try:
        summary = train(options)
    except InputError as error:
        if os.environ.get("RANK", "0") == "0":  # the others fail of the same
            print(f"mapt: {error}", file=sys.stderr)
        if int(os.environ["WORLD_SIZE"]) > 1:  # gloo's threads may still run, and abort an orderly end
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(2)
        raise SystemExit(2) from None
    if os.environ.get("RANK", "0") == "0" and "MAPT_PARENT" not in os.environ:  # else the starter tells
        for key, value in summary.items():
            print(f"{key}: {value}")


def _end_with_parent(parent: int) -> None:
    """A process whose starter was killed would train on unseen, beside the one that resumes its run."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    share_cores()
    keep_memory()
    if starter := os.environ.get("MAPT_PARENT"):
        threading.Thread(target=_end_with_parent, args=(int(starter),), daemon=True).start()
    app()
