"""Arguments of Python's calls, checked: a wrong one is refused in one line."""

import os
from operator import index
from pathlib import Path
from typing import Any

from cllm4rec.errors import InputError, shortened


def path_of(name: str, path: Any) -> Path:
    """A path from an argument.

    Raises:
        InputError: it is neither string nor path, or empty.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(f"{name} is {shown(path)}; give a path")
    return Path(path)


def is_text(value: object) -> bool:
    """Not every Python string is text: a lone surrogate has no UTF-8."""
    return isinstance(value, str) and value.encode(errors="replace").decode() == value


def one_of(name: str, value: Any, kind: type, mend: str) -> None:
    """Check an argument's type.

    Raises:
        InputError: it has another type; the message ends with ``mend``.
    """
    if not isinstance(value, kind):
        raise InputError(f"{name} is {kind_of(value)}, not a {kind.__name__}; {mend}")


def seed_of(seed: Any) -> int:
    """A seed from an argument; numpy's whole numbers are taken too.

    Raises:
        InputError: it is no whole number, or negative.
    """
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or index(seed) < 0:
        raise InputError(f"seed is {shown(seed)}; give a whole number, 0 or more")
    return index(seed)


def kind_of(value: Any) -> str:
    """A value's type with its article, for an error."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def shown(value: Any) -> str:
    """A value for an error, at most 40 characters long."""
    try:
        short = repr(value)
    except (ValueError, RecursionError):  # a number of 5,000 digits
        return f"{kind_of(value)} too long to print"
    return shortened(short, 40)
