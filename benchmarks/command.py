"""What benchmarks share of their command lines."""

import json
import sys
from collections.abc import Callable

from mapt_ros.errors import InputError


def start(main: Callable[[], None]) -> None:
    """Calls a benchmark's main function; bad input ends it with one line on stderr and exit code 2."""
    try:
        main()
    except InputError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def tracker_settings(texts: list[str]) -> dict:
    """Tracker settings from ``NAME=VALUE`` texts, each value as JSON.

    Raises:
        InputError: a text is not that.
    """
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            raise InputError(
                f"--set {text}: expected NAME=VALUE, the value as JSON, as in score_threshold=0.4"
            ) from None
    return found
