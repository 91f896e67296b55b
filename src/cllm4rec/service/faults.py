"""What is wrong with a request, a line for each fault: names of fields, and no value."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel

NO_CONTENT_TYPE = (
    "the body is not marked as JSON; send the header Content-Type: application/json "
    "(curl -H 'Content-Type: application/json')"
)


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
    if fault["type"] != "extra_forbidden":
        return line
    _, *outer, wrong = map(str, fault["loc"])
    near = difflib.get_close_matches(wrong, _fields(endpoint, outer), n=1)
    return f"{line}; did you mean {near[0]}?" if near else line


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
