"""The one exception for input that a user can mend: it carries a single clear line."""


class InputError(ValueError):
    """Bad input, told in one line: which file, topic or parameter, what was wrong, what would be right."""
