"""Baselines that stand in every results table, by name; each tuned on validation."""

import inspect
from collections.abc import Mapping
from typing import Any

from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.config import baseline_entry
from cllm4rec.errors import ConfigError, InputError

__all__ = ["Baseline", "Context", "Settings", "baseline_named"]


def baseline_named(name: str, settings: Mapping[str, Any] | None = None) -> Baseline:
    """A baseline of ours, or one that an installed package brings.

    Args:
        name: in ``evaluate.baselines``.
        settings: keyword arguments of its class: ``evaluate.baseline_settings.NAME``.

    Raises:
        ConfigError: there is none of this name, or it does not take these settings.
        InputError: its package cannot be imported, or brings something else than a baseline.
    """
    entry = baseline_entry(name)
    try:
        kind = entry.load()
    except Exception as error:
        raise InputError(
            f"baseline {name!r} ({entry.value}) cannot be imported: {type(error).__name__}: "
            f"{_one_line(error)}; mend its package, or leave it out of evaluate.baselines"
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, Baseline)):
        raise InputError(
            f"baseline {name!r}: {entry.value} is no subclass of cllm4rec.baselines.Baseline; "
            f"mend its package, or leave it out of evaluate.baselines"
        )
    given, takes = dict(settings or {}), inspect.signature(kind)
    try:
        takes.bind(**given)
        baseline = kind(**given)
    except (TypeError, ValueError) as error:
        known = ", ".join(_settings_of(kind)) or "none"
        raise ConfigError(
            f"setting evaluate.baseline_settings.{name}: {_one_line(error)}; its settings: {known}"
        ) from None
    baseline.name = name
    return baseline


def _settings_of(kind: type[Baseline]) -> list[str]:
    """Names of a class's settings; ``**others`` are those of the class above it."""
    names: list[str] = []
    for each in kind.__mro__:
        if "__init__" not in vars(each):
            continue
        given = list(inspect.signature(each).parameters.values())
        names += [value.name for value in given if value.kind is not value.VAR_KEYWORD]
        if all(value.kind is not value.VAR_KEYWORD for value in given):
            break
    return list(dict.fromkeys(names))  # a class may name again what it takes otherwise


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
