"""How torch's CPU threads behave beside the other processes of a vehicle's computer."""

import os

_SPIN_COUNT = "5000"  # far below libgomp's default: some microseconds, which loses nothing on an idle machine


def share_cores() -> None:
    """Lets idle OpenMP threads sleep soon instead of spinning long; call before torch is first imported.

    While a neighbour takes a core, spinning threads hold up the ones they wait for, and a frame takes many times as
    long. Values that the user has set stay.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
