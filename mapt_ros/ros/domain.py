"""Finds a ROS domain that no other program on this machine uses, for runs that must not hear or disturb anybody."""

import os
import socket

from mapt_ros.errors import InputError

_DOMAINS = range(1, 101)  # the ports of higher ones lie where Linux takes its ephemeral ports from
_claims: list[socket.socket] = []  # held until the process ends


def use_own_domain() -> int:
    """Keeps this process's DDS traffic, and its children's, on this machine and in a domain of its own.

    A ``ROS_DOMAIN_ID`` that the user chose stays. Must be called before rclpy starts a context.

    Returns:
        The domain.

    Raises:
        InputError: that one is no number.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    chosen = os.environ.get("ROS_DOMAIN_ID") or str(claim_domain())  # ROS takes an empty one for none, too
    if not chosen.isdecimal():
        raise InputError(f"ROS_DOMAIN_ID={chosen}: expected a number, between 1 and 101 at best")
    os.environ["ROS_DOMAIN_ID"] = chosen
    return int(chosen)


def claim_domain() -> int:
    """A domain without participants, which no other process gets from this function while this one lives."""
    first = os.getpid() % len(_DOMAINS)
    for domain in (*_DOMAINS[first:], *_DOMAINS[:first]):
        if _is_free(domain) and _claim(domain):
            return domain
    return _DOMAINS[first]


def _is_free(domain: int) -> bool:
    """Whether nobody listens where the domain's first participant would (RTPS 2.5, 9.6.2.3)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain + 10))
        except OSError:
            return False
    return True


def _claim(domain: int) -> bool:
    """Takes a name that the kernel frees with the process; participants come up later than they are decided on."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0mapt_ros_domain_{domain}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True
