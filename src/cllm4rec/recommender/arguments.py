"""Checks of Python arguments; wrong ones are refused with a one-line error."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from numbers import Real
from typing import Any

from cllm4rec.data.arguments import kind_of, shown
from cllm4rec.errors import InputError
from cllm4rec.recommender.catalogue import Filters
from cllm4rec.recommender.conditions import Where


def id_list(name: str, ids: Any) -> list[str]:
    """Ids as a list.

    Args:
        name: of the argument, for the error.
        ids: a list or any other iterable of strings, such as a column.

    Raises:
        InputError: it is a single string, or contains anything but strings.
    """
    if isinstance(ids, str):
        raise InputError(f"{name} is one text, {shown(ids)}; give a list of ids: [{shown(ids)}]")
    if isinstance(ids, bytes | Mapping) or not isinstance(ids, Iterable):
        raise InputError(f"{name} is {kind_of(ids)}; give a list of ids")
    found = list(ids)
    for each in found:
        if not isinstance(each, str):
            raise InputError(
                f"{name} holds {shown(each)}, {kind_of(each)}; ids are text, as in the input files"
            )
    return found


def none_of(given: str, name: str, value: Any) -> None:
    """Require that an argument is not given beside another.

    Raises:
        InputError: it is.
    """
    if value is not None:
        raise InputError(f"{given} is for somebody unknown; give no {name} with it")


def filters_of(include: Any, exclude: Any, where: Any, seen: Any) -> Filters:
    """Filters from arguments; see :class:`Filters`.

    Raises:
        InputError: an argument has the wrong type.
    """
    where = _where_of(where)
    if not isinstance(seen, bool):
        raise InputError(f"seen is {kind_of(seen)}; give True or False")
    return Filters(
        None if include is None else id_list("include", include),
        None if exclude is None else id_list("exclude", exclude),
        where,
        seen,
    )


def _where_of(where: Any) -> Where | None:
    """Values by attribute, or conditions."""
    if where is None:
        return None
    if isinstance(where, str | bytes) or not isinstance(where, Mapping | Sequence):
        raise InputError(
            f"where is {kind_of(where)}; give a dict, such as {{'genres': 'Comedy'}}, or a list, "
            f"such as ['price<20']"
        )
    texts, values = (where, where.values()) if isinstance(where, Mapping) else (where, ())
    wrong = [each for each in texts if not isinstance(each, str)]
    wrong += [each for each in values if not isinstance(each, str) and not _is_number(each)]
    if wrong:
        raise InputError(
            f"where holds {shown(wrong[0])}, {kind_of(wrong[0])}; give a text or a number for an "
            f"attribute, such as {{'year': 1995}}, or conditions, such as ['year=1995', 'price<20']"
        )
    return where if isinstance(where, Mapping) else tuple(where)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
