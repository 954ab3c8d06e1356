"""The one exception for input that a user can mend: it carries a single clear line."""

from typing import Any


class InputError(ValueError):
    """Bad input, told in one line: which file, topic or parameter, what was wrong, what would be right."""


def validated(model: type, values: Any, where: str) -> Any:
    """``model(**values)`` for a pydantic model, its complaint turned into one line.

    Args:
        model: a pydantic model class.
        values: what was read, meant to be a mapping.
        where: the file or parameter to name.

    Raises:
        InputError: naming the first wrong key.
    """
    from pydantic import ValidationError

    if not isinstance(values, dict):
        raise InputError(f"{where}: holds {type(values).__name__}, expected a mapping of settings")
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise InputError(f"{where}: unknown key {key!r}") from None
        raise InputError(f"{where}: {key}: {first['msg']} (got {first['input']!r:.80})") from None


def first_line(error: BaseException) -> str:
    """The first line of what a library's exception says, or its type where it says nothing."""
    return (str(error) or type(error).__name__).splitlines()[0]
