"""What is wrong with a request, a line for each fault: names of fields, and no value but ids."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel

NO_CONTENT_TYPE = (
    "the body is not marked as JSON; send the header Content-Type: application/json "
    "(curl -H 'Content-Type: application/json')"
)
_OF_IDS = {"users", "histories", "include", "exclude", "items", "item_id", "user_id"}
"""Fields whose texts are ids."""
_LONGEST_ID = 10**18
"""Number that a line repeats as an id."""


def fault_line(endpoint: Callable[..., Any], fault: Mapping[str, Any]) -> str:
    """One fault of a request, with the field that was probably meant.

    Args:
        endpoint: of the route, whose models know the fields.
        fault: of a ``RequestValidationError``.
    """
    if isinstance(fault.get("input"), bytes):  # JSON has none: the body was not read as JSON
        return NO_CONTENT_TYPE
    place = ".".join(map(str, fault["loc"][:6]))[:200]
    line = f"{place}: {fault['msg'].removeprefix('Value error, ')}"
    if fault["type"] == "string_type" and (id_said := _number_for_an_id(fault)):
        return f"{place}: {id_said}"
    if fault["type"] != "extra_forbidden":
        return line
    _, *outer, wrong = map(str, fault["loc"])
    fields = _fields(endpoint, outer)
    near = difflib.get_close_matches(wrong, fields, n=1)
    line += f"; did you mean {near[0]}?" if near else ""
    return f'{line}; further columns go into "attributes"' if "attributes" in fields else line


def _number_for_an_id(fault: Mapping[str, Any]) -> str:
    """The mend, where a number stands for an id; empty elsewhere."""
    name = [each for each in fault["loc"] if isinstance(each, str)][-1]
    given = fault.get("input")
    if name not in _OF_IDS or isinstance(given, bool) or not isinstance(given, int | float):
        return ""
    # 1000.0 is hardly an id as it stands, nor is a number of 5,000 digits.
    short = isinstance(given, int) and abs(given) < _LONGEST_ID
    return f'ids are text: write "{given}"' if short else "ids are text, in quotes"


def _fields(endpoint: Callable[..., Any], outer: list[str]) -> list[str]:
    """Fields beside the one at fault; ``outer`` leads to it and has numbers for lists."""
    models = [m for hint in get_type_hints(endpoint).values() for m in _models(hint)]
    for name in outer:
        inner = [model.model_fields[name] for model in models if name in model.model_fields]
        if inner:
            models = [m for field in inner for m in _models(field.annotation)]
    return [name for model in models for name in model.model_fields]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, such as those of ``list[Interaction] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
