"""How torch's CPU threads behave beside the other processes of a vehicle's computer."""

import os


def share_cores() -> None:
    """Lets idle OpenMP threads sleep instead of spin; call before torch is first imported.

    While a neighbour takes a core, spinning threads hold up the ones they wait for: the same network ran up to ten
    times slower that way. A value that the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
