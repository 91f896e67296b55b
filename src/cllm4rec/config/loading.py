"""All settings of a run: from TOML and ``--set``, to TOML, and completed by what the data are."""

import copy
import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, NonNegativeInt, ValidationError, model_validator
from pydantic_core import ErrorDetails

from cllm4rec.config.presets import PAPER, SEQUENCES, SETS
from cllm4rec.config.sections import (
    BackboneConfig,
    CorpusConfig,
    DataConfig,
    EvaluateConfig,
    FinetuneConfig,
    ModelConfig,
    PretrainConfig,
    Settings,
)
from cllm4rec.errors import ConfigError, InputError


class Config(Settings):
    """All settings of a run."""

    seed: NonNegativeInt = 0
    """The one seed; every random draw is a pure function of it."""
    threads: NonNegativeInt = 0
    """Torch threads; 0 takes the processor's cores."""
    device: str = "cpu"
    """Where models are trained and evaluated, a device of torch: ``cpu``, ``cuda``, ``cuda:1``;
    ``auto``: CUDA where there is one. What is saved runs on any; `recommend` and the service use
    the processor."""
    data: DataConfig = DataConfig()
    backbone: BackboneConfig = BackboneConfig()
    corpus: CorpusConfig = CorpusConfig()
    model: ModelConfig = ModelConfig()
    pretrain: PretrainConfig = PretrainConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _next_of_an_order(self) -> "Config":
        if self.finetune.target == "next" and self.corpus.order == "random":
            raise ValueError(
                "finetune.target = 'next' asks what comes next, and corpus.order = 'random' has no "
                "next; set corpus.order=time or finetune.target=holdout"
            )
        return self


def to_toml(config: Config) -> str:
    """The whole configuration as TOML; :func:`load_config` gives back an equal one."""
    return tomli_w.dumps(config.model_dump())


def load_config(source: str | Path | None, overrides: Sequence[str] = ()) -> Config:
    """Read settings: none, ``"paper"`` or a TOML file; then apply ``stage.key=value`` overrides.

    Raises:
        ConfigError: unknown key, value out of range, or text that is not TOML; names the key and
            the value.
        InputError: the file does not exist.
    """
    if source is None:
        values: dict[str, Any] = {}
    elif str(source) == "paper":
        # All of them count as given: the data decide nothing of the paper's.
        values = Config.model_validate(PAPER).model_dump()
    else:
        values = _read_toml(Path(source))
    for override in overrides:
        _apply(values, override)
    return _checked(values)


def for_data(config: Config, *, newest_held_out: bool) -> Config:
    """The settings with everything that was not given decided by what the data are.

    Args:
        config: as given. What was read from a run's ``config.toml`` is given in full.
        newest_held_out: whether the held-out interactions are each user's newest; with
            ``corpus.order = "random"`` they are held to be drawn at random.

    Returns:
        Settings that all count as given: deciding again changes nothing.

    Raises:
        ConfigError: what is given and what the data decide do not go together.
    """
    given = config.model_dump(exclude_unset=True)
    if config.corpus.order == "auto":
        given.get("corpus", {}).pop("order", None)
    in_order = newest_held_out and config.corpus.order != "random"
    decided = _checked(_merged(SEQUENCES if in_order else SETS, given))
    return Config.model_validate(decided.model_dump())


def _checked(values: dict[str, Any]) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_in_one_line(error.errors()[0])) from None


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Both tables as one; where both give a value it is that of ``above``."""
    merged = copy.deepcopy(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"no configuration file at {path}; give a TOML file or `paper`")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def _apply(values: dict[str, Any], override: str) -> None:
    """Set one ``stage.key=value``; the value is TOML, or plain text where it is not."""
    name, equals, text = override.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not equals or not all(keys):
        raise ConfigError(f"override {override!r} is not of the form stage.key=value")
    section = values
    for key in keys[:-1]:
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            raise ConfigError(f"override {override!r}: {key} is a value, not a section")
    section[keys[-1]] = _value(text.strip())


def _value(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text


def _in_one_line(error: ErrorDetails) -> str:
    """What is wrong with one setting, its value shortened to 80 characters."""
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return f"{message} (docs/configuration.md lists all settings)"
    *sections, last = map(str, error["loc"])
    key = ".".join([*sections, last])
    if error["type"] == "extra_forbidden":
        section: type[BaseModel] = Config
        for name in sections:
            annotation = section.model_fields[name].annotation
            assert isinstance(annotation, type)
            section = annotation
        near = difflib.get_close_matches(last, section.model_fields, n=1)
        mend = f"did you mean {'.'.join([*sections, *near])}?" if near else "it does not exist"
        return f"no setting {key}: {mend} (docs/configuration.md lists all)"
    given = repr(error["input"])
    shown = given if len(given) <= 80 else given[:79] + "…"
    return f"setting {key} = {shown}: {message} (docs/configuration.md lists all)"
