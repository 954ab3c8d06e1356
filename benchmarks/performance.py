"""How the cost of a frame grows with instances, cameras and image size, beside Mask R-CNN; tables and a plot.

    python -m benchmarks.performance [--config compact] [--device auto] [--precision fp32] [--repeats 5]
                                     [--sweep instances ...] [--json FILE] [--plot FILE]

Every point is a ``mapt bench`` of its own. On a machine that others use too, compare the time of all CPU threads.
"""

import argparse
import json
from pathlib import Path

from benchmarks.command import start
from mapt_ros.evaluation.bench import bench
from mapt_ros.threads import keep_memory
from mapt_ros.viz.chart import Chart, Series, draw

SWEEPS = {
    "instances": [{"instances": n} for n in (1, 20, 50, 100)],
    "cameras": [{"cameras": n} for n in (1, 2, 4)],
    "size": [{"size": size} for size in ("192x640", "375x1242", "750x2484")],
}
_TITLES = {"instances": "instances", "cameras": "cameras in one batch", "size": "megapixels"}


def main() -> None:
    """Prints the tables in Markdown, writes the numbers as JSON and the plot as PNG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="compact")
    parser.add_argument("--size", default="375x1242")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sweep", action="append", choices=SWEEPS, help="may be given again; all without")
    parser.add_argument("--no-mask-rcnn", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    keep_memory()  # as the node and the command line do
    results = {}
    for name in options.sweep or SWEEPS:
        results[name] = []
        for point in SWEEPS[name]:
            fixed = {"size": options.size, "device": options.device, "precision": options.precision} | point
            result = bench(options.config, **fixed, repeats=options.repeats, mask_rcnn=not options.no_mask_rcnn)
            results[name].append(result)
            print(json.dumps({name: point} | {key: result[key] for key in ("total_ms", "total_cpu_ms")}), flush=True)
        print(table(name, results[name]))
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.plot:
        options.plot.write_bytes(draw([chart(name, points) for name, points in results.items()]))


def table(sweep: str, points: list[dict]) -> str:
    """One row a point, with the ratio of its CPU time to the first's."""
    rows = [
        f"| {sweep} | ms | p95 | CPU ms | to the first | to Mask R-CNN (CPU) | peak MB |",
        "| --- |" + " ---: |" * 6,
    ]
    for result in points:
        growth = result["total_cpu_ms"] / points[0]["total_cpu_ms"]
        ratio = "-" if result["ratio_of_cpu_time"] is None else f"{result['ratio_of_cpu_time']:.2f}"
        cells = [str(result[sweep]), f"{result['total_ms']:.0f}", f"{result['total_ms_p95']:.0f}"]
        cells += [f"{result['total_cpu_ms']:.0f}", f"{growth:.2f}", ratio, f"{result['peak_mb']:.0f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def chart(sweep: str, points: list[dict]) -> Chart:
    """CPU time over the swept quantity, ours and Mask R-CNN's; on a GPU wall time."""
    key = "cpu_ms" if points[0]["device"].startswith("cpu") else "ms"
    series = [Series("MAPT", tuple((_place(sweep, p), p[f"total_{key}"]) for p in points), "line")]
    if points[0]["mask_rcnn_ms"] is not None:
        series.append(Series("Mask R-CNN", tuple((_place(sweep, p), p[f"mask_rcnn_{key}"]) for p in points), "line"))
    unit = "CPU ms a frame" if key == "cpu_ms" else "ms a frame"
    return Chart(f"{points[0]['config']}: {_TITLES[sweep]}", _TITLES[sweep], unit, tuple(series), zero=True)


def _place(sweep: str, result: dict) -> float:
    if sweep != "size":
        return float(result[sweep])
    height, width = map(int, result["size"].split("x"))
    return height * width / 1e6


if __name__ == "__main__":
    start(main)
