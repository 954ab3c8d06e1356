"""How long deformable sampling takes by ``grid_sample`` and by torchvision's ``deform_conv2d``, in one run.

python -m benchmarks.warp [--device cuda]
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torchvision.ops import deform_conv2d

from mapt_ros.model.warp import deformed_taps


def main() -> None:
    """Prints the table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    print(f"{device}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}\n")
    print(
        "| cells | channels | gradient | deform_conv2d ms | grid_sample ms | ratio |\n| --- | --- | --- | --- | --- | --- |"
    )
    for size, channels in (((48, 160), 12), ((48, 160), 32), ((128, 240), 32)):
        for gradient in (False, True):
            theirs, ours = (median_ms(run, device) for run in both(size, channels, gradient, device))
            row = (f"{size[0]}x{size[1]}", channels, "yes" if gradient else "no", f"{theirs:.1f}", f"{ours:.1f}")
            print(f"| {' | '.join(map(str, row))} | {ours / theirs:.2f} |")


def both(size: tuple[int, int], channels: int, gradient: bool, device: str) -> tuple[Callable, Callable]:
    """The same deformable 3x3 convolution, first torchvision's, then ours."""
    values = torch.rand(1, channels, *size, device=device, requires_grad=gradient)
    offsets = (2 * torch.randn(1, 18, *size, device=device)).requires_grad_(gradient)
    kernel = torch.rand(channels, channels, 3, 3, device=device)

    def theirs() -> torch.Tensor:
        return deform_conv2d(values, offsets, kernel, padding=3, dilation=3)

    def ours() -> torch.Tensor:
        return F.conv2d(deformed_taps(values, offsets, 3).flatten(1, 2), kernel.flatten(1)[:, :, None, None])

    def with_gradient(run: Callable[[], torch.Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(run().sum(), (values, offsets))

    return (with_gradient(theirs), with_gradient(ours)) if gradient else (theirs, ours)


def median_ms(run: Callable[[], object], device: str, repeats: int = 9) -> float:
    """Median wall time after one call to warm up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times[1:])[repeats // 2]


if __name__ == "__main__":
    main()
