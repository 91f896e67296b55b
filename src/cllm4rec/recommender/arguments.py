"""Checks of Python arguments; wrong ones are refused with a one-line error."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cllm4rec.errors import InputError
from cllm4rec.recommender.catalogue import Filters


def id_list(name: str, ids: Any) -> list[str]:
    """Ids as a list.

    Args:
        name: of the argument, for the error.
        ids: a list or any other iterable of strings, such as a column.

    Raises:
        InputError: it is a single string, or contains anything but strings.
    """
    if isinstance(ids, str):
        raise InputError(f"{name} is one text, {_shown(ids)}; give a list of ids: [{_shown(ids)}]")
    if isinstance(ids, bytes | Mapping) or not isinstance(ids, Iterable):
        raise InputError(f"{name} is {_kind(ids)}; give a list of ids")
    found = list(ids)
    for each in found:
        if not isinstance(each, str):
            raise InputError(
                f"{name} holds {_shown(each)}, {_kind(each)}; ids are text, as in the input files"
            )
    return found


def filters_of(include: Any, exclude: Any, where: Any, seen: Any) -> Filters:
    """Filters from arguments; see :class:`Filters`.

    Raises:
        InputError: an argument has the wrong type.
    """
    if where is not None and not isinstance(where, Mapping):
        raise InputError(f"where is {_kind(where)}; give a dict, such as {{'genres': 'Comedy'}}")
    for pair in (where or {}).items():
        for each in pair:
            if not isinstance(each, str):
                raise InputError(f"where holds {_shown(each)}, {_kind(each)}; attributes are text")
    if not isinstance(seen, bool):
        raise InputError(f"seen is {_kind(seen)}; give True or False")
    return Filters(
        None if include is None else id_list("include", include),
        None if exclude is None else id_list("exclude", exclude),
        where,
        seen,
    )


def path_of(name: str, path: Any) -> Path:
    """A path from an argument.

    Raises:
        InputError: it is neither string nor path, or empty.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(f"{name} is {_shown(path)}; give a path")
    return Path(path)


def one_of(name: str, value: Any, kind: type, mend: str) -> None:
    """Check an argument's type.

    Raises:
        InputError: it has another type; the message ends with ``mend``.
    """
    if not isinstance(value, kind):
        raise InputError(f"{name} is {_kind(value)}, not a {kind.__name__}; {mend}")


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _shown(value: Any) -> str:
    short = repr(value)
    return short if len(short) <= 40 else short[:39] + "…"
