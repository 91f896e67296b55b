"""A complete configuration: every setting of a run, as a value."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, NonNegativeInt, ValidationError, model_validator
from pydantic_core import ErrorDetails

from cllm4rec.config.sections import (
    BackboneConfig,
    CorpusConfig,
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    Settings,
)
from cllm4rec.config.training import FinetuneConfig, PretrainConfig
from cllm4rec.errors import ConfigError, shortened

PresetName = Literal["sets", "sequences", "paper", "paper-small"]


class Config(Settings):
    """All settings of a run. Nothing is left to be decided: what stands here is what runs."""

    preset: PresetName
    """Preset that the values come from, but for what was given; by itself it changes nothing."""
    seed: NonNegativeInt
    """The one seed; every random draw is a pure function of it."""
    threads: Annotated[int, Field(ge=0, le=1024)]
    """Torch threads; 0: as many as `OMP_NUM_THREADS` says, else the cores."""
    device: str
    """Where models compute, in training and ever after, a device of torch: ``cpu``, ``cuda``,
    ``cuda:1``; ``auto``: CUDA where there is one, else the processor. What is saved runs on any:
    where the device is not there, the processor answers."""
    device_tokens: Annotated[int, Field(ge=0)] = 0
    """Most tokens, with padding, that a device reads at once in training; larger steps are read in
    parts whose gradients are summed. To be lowered where its memory is too small, also in the
    middle of a training. 0: ``batch_tokens`` of the stage, on a GPU as many as it has room for."""
    data: DataConfig
    backbone: BackboneConfig
    corpus: CorpusConfig
    model: ModelConfig
    pretrain: PretrainConfig
    finetune: FinetuneConfig
    evaluate: EvaluateConfig

    @model_validator(mode="after")
    def _next_of_an_order(self) -> "Config":
        if self.finetune.target == "next" and self.corpus.order == "random":
            raise ValueError(
                "finetune.target = 'next' asks what comes next, and corpus.order = 'random' has no "
                "next; set corpus.order=time or finetune.target=holdout"
            )
        return self

    @model_validator(mode="after")
    def _words_both_ways_in_pretraining(self) -> "Config":
        if self.corpus.words == "both-ways" and not self.pretrain.enabled:
            raise ValueError(
                "corpus.words = 'both-ways' is about pretraining, which is off; set "
                "pretrain.enabled=true or corpus.words=none"
            )
        return self


def checked(values: Mapping[str, Any]) -> Config:
    """The configuration of these values.

    Raises:
        ConfigError: a key that does not exist or is missing, or a value out of range; in one line.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_in_one_line(error.errors()[0])) from None


def _in_one_line(error: ErrorDetails) -> str:
    """What is wrong with one setting, its value shortened to 80 characters."""
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return f"{message} (docs/configuration.md lists all settings)"
    *sections, last = map(str, error["loc"])
    key = ".".join([*sections, last])
    if error["type"] == "extra_forbidden":
        if "." in last:  # as `--set` names settings
            return (
                f"no setting {key}: write {_nested(last, error)} (docs/configuration.md lists all)"
            )
        section: type[BaseModel] = Config
        for name in sections:
            annotation = section.model_fields[name].annotation
            assert isinstance(annotation, type)
            section = annotation
        near = difflib.get_close_matches(last, section.model_fields, n=1)
        mend = f"did you mean {'.'.join([*sections, *near])}?" if near else "it does not exist"
        return f"no setting {key}: {mend} (docs/configuration.md lists all)"
    if error["type"] == "missing":
        return f"setting {key} is missing"
    short = _given(error)
    return f"setting {key} = {short}: {message} (docs/configuration.md lists all)"


def _nested(name: str, error: ErrorDetails) -> str:
    """A name with points as tables in tables: ``{'finetune': {'epochs': 2}}``."""
    keys = name.split(".")
    return "".join(f"{{{each!r}: " for each in keys) + _given(error) + "}" * len(keys)


def _given(error: ErrorDetails) -> str:
    try:
        given = repr(error["input"])
    except ValueError:  # Python prints no number of more than 4,300 digits
        given = "a number of thousands of digits"
    return shortened(given)
