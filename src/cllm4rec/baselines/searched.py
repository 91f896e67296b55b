"""What a neural baseline's search is given: lists of values, checked before anything is trained."""

from collections.abc import Callable, Sequence
from typing import cast


def refuse_other_than(what: str, name: str, values: object, fits: Callable[[object], bool]) -> None:
    """Refuse what is no list of values that fit; None stands for the baseline's own list.

    Raises:
        ValueError: names the setting, its value and what fits.
    """
    if values is not None and not (isinstance(values, list | tuple) and all(map(fits, values))):
        raise ValueError(f"{name} = {values!r} is no list of {what}")
    if values is not None and not values:
        raise ValueError(f"{name}: an empty list leaves nothing to train; give at least one value")


def refuse_other_losses(losses: object, known: Sequence[str]) -> None:
    """Refuse what is no list of losses that exist.

    Raises:
        ValueError: names the loss and those there are.
    """
    if not isinstance(losses, list | tuple):
        raise ValueError(f"losses = {losses!r} is no list of losses, such as {[*known[:1]]}")
    for loss in losses:
        if loss not in known:
            raise ValueError(f"loss {loss!r} does not exist; there are {', '.join(known)}")
    if not losses:
        raise ValueError("losses: an empty list leaves nothing to train; give at least one value")


def is_width(value: object) -> bool:
    """A whole number from 1 to 4096."""
    return type(value) is int and 1 <= value <= 4096


def is_layers(value: object) -> bool:
    """A whole number from 1 to 12."""
    return type(value) is int and 1 <= value <= 12


def is_dropout(value: object) -> bool:
    """A number from 0, below 1."""
    return type(value) in (int, float) and 0 <= cast("float", value) < 1


def is_rate(value: object) -> bool:
    """A number above 0."""
    return type(value) in (int, float) and cast("float", value) > 0
