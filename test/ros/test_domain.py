"""A run of its own never shares a domain with another program."""

import os
import socket
import subprocess
import sys

import pytest

from mapt_ros.errors import InputError
from mapt_ros.ros import domain
from mapt_ros.ros.domain import claim_domain, use_own_domain

CLAIM = "from mapt_ros.ros.domain import claim_domain; print(claim_domain(), flush=True); input()"


def test_a_claimed_domain_is_nobody_elses_while_the_process_lives(monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 50)  # the same start for all, as with process ids 100 apart
    first, second = claim_domain(), claim_domain()
    assert first != second
    other = subprocess.Popen(
        [sys.executable, "-c", f"import os; os.getpid = lambda: 50\n{CLAIM}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        theirs = int(other.stdout.readline())
        assert theirs not in (first, second)
        assert claim_domain() != theirs
    finally:
        other.communicate("\n", timeout=60)


def test_a_domain_where_somebody_listens_is_left_to_them(monkeypatch):
    taken = claim_domain()
    domain._claims.pop().close()  # nobody claims it any more ...
    monkeypatch.setattr(os, "getpid", lambda: taken - 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("", 7410 + 250 * taken))  # ... but a participant is there
        assert claim_domain() != taken
    assert claim_domain() == taken


def test_the_users_own_domain_stays(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    assert use_own_domain() == 42


def test_an_empty_domain_is_none_chosen(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "")
    assert use_own_domain() == int(os.environ["ROS_DOMAIN_ID"]) > 0


def test_a_domain_that_is_no_number_is_told(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "abc")
    with pytest.raises(InputError, match="^ROS_DOMAIN_ID=abc: expected a number"):
        use_own_domain()
