"""Settings as text: TOML files and ``stage.key=value``."""

import copy
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from cllm4rec.config.complete import Config, checked
from cllm4rec.config.presets import PRESETS
from cllm4rec.errors import ConfigError, InputError

NOT_TOML = (ValueError, RecursionError)
"""What Python's reader raises: a number of 5,000 digits or 1,000 open brackets have no error of
their own."""


def to_toml(config: Config) -> str:
    """The whole configuration as TOML; read again it is an equal one, whatever the data."""
    return tomli_w.dumps(config.model_dump())


def read_config(path: Path) -> Config:
    """Read the complete configuration that ``prepare`` left in a run.

    Raises:
        InputError: there is no such file.
        ConfigError: it is not TOML, or not a complete configuration of this version.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; run `cllm4rec prepare` again")
    try:
        return checked(read_toml(path))
    except ConfigError as error:
        raise ConfigError(
            f"{path} was made by an older version, or changed by hand ({error}); run "
            f"`cllm4rec prepare` again"
        ) from None


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file.

    Raises:
        InputError: there is no such file.
        ConfigError: it is not TOML.
    """
    if not path.is_file():
        opened = ", or open a trained run with CLLM4Rec.load" if path.is_dir() else ""
        raise InputError(
            f"no configuration file at {path}; give a TOML file or a preset: "
            f"{', '.join(('auto', *PRESETS))}{opened}"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except NOT_TOML as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def with_overrides(
    values: dict[str, Any], overrides: Sequence[str], below: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A table of settings with some ``stage.key=value`` put into it, one after the other.

    Args:
        values: the table; it stays as it is.
        overrides: ``stage.key=value``, or ``stage.key.name=value`` where the setting is a table.
        below: complete values, whose tables an override of one of their keys starts from.

    Raises:
        ConfigError: one is not of that form, or goes below what is no section.
    """
    values = copy.deepcopy(values)
    for override in overrides:
        _apply(values, override, below or {})
    return values


def _apply(values: dict[str, Any], override: str, below: Mapping[str, Any]) -> None:
    """Set one ``stage.key=value``; the value is TOML, or plain text where it is not."""
    name, equals, text = override.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not equals or not all(keys):
        raise ConfigError(f"override {override!r} is not of the form stage.key=value")
    section, whole = values, below.get(keys[0], {})
    for depth, key in enumerate(keys[:-1]):
        if depth == 1 and key not in section and isinstance(whole.get(key), dict):
            section[key] = copy.deepcopy(whole[key])
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            raise ConfigError(f"override {override!r}: {key} is a value, not a section")
    section[keys[-1]] = _value(text.strip())


def _value(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except NOT_TOML:
        return text
    return document["value"] if len(document) == 1 else text
