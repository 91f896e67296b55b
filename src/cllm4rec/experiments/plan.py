"""Plans: the data sets, models, baselines and seeds of a bench; read from TOML."""

import difflib
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    StrictBool,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from cllm4rec.baselines import baseline_named
from cllm4rec.config import (
    PRESETS,
    Config,
    Measure,
    Protocol,
    Request,
    Settings,
    possible,
    refuse_unknown_baselines,
    request_of,
)
from cllm4rec.config.naming import LINEAR, is_half
from cllm4rec.config.toml import NOT_TOML
from cllm4rec.data.sources import SOURCES
from cllm4rec.errors import ConfigError, InputError, shortened

Name = Annotated[str, StringConstraints(pattern=r"^\w[\w .+=-]*$", max_length=100)]
"""Names are folders too: letters, digits and ``_ . + = -`` or a space, a letter or digit first."""

Column = Literal["recall@20", "recall@40", "ndcg@100", "recall@10", "ndcg@10"]
"""A measure of the table."""

REFIT = ", refit"
"""End of the name of a row that was fitted again on training and validation part."""

_ELSEWHERE = {
    "seed": "`seeds` of the plan",
    "data": "`set` of [datasets.NAME]",
    "evaluate": "`baselines`, `baseline_settings`, `selection` and `bootstrap` of the plan",
}
"""Sections of the settings that a model must not change here → where they are decided."""


class DatasetPlan(Settings):
    """One data set and its split; by default the protocol ``paper``."""

    data: Annotated[str, StringConstraints(min_length=1)]
    """Input directory, relative to the plan's folder, or a name that ``cllm4rec data`` knows."""
    split: str | None = None
    """Split file, relative to the plan's folder."""
    protocol: Protocol | None = None
    """Otherwise, the protocol that cuts the log; ``seed`` in ``set`` is that of its draws."""
    overrides: list[str] = Field(default=[], alias="set")
    """``stage.key=value``: how the data are read, and settings of every model on them."""

    @model_validator(mode="after")
    def _one_way_to_split(self) -> "DatasetPlan":
        if self.split is not None and self.protocol is not None:
            raise ValueError("split and protocol exclude each other; give one of them")
        return self

    @property
    def splitting(self) -> str:
        """The protocol's name, or ``split file``."""
        return "split file" if self.split is not None else self.protocol or "paper"


class ModelPlan(Settings):
    """One variant of the model: the preset ``auto`` with these changes."""

    overrides: list[str] = Field(default=[], alias="set")
    """``stage.key=value``, on top of ``config`` and of the data set's."""
    config: str | None = None
    """A preset's name, or a TOML file relative to the plan's folder."""

    @field_validator("overrides")
    @classmethod
    def _only_the_models_own(cls, overrides: list[str]) -> list[str]:
        for override in overrides:
            section = override.partition("=")[0].partition(".")[0].strip()
            if section in _ELSEWHERE:
                raise ValueError(f"{override!r} is no matter of a model: {_ELSEWHERE[section]}")
        return overrides


class Hypothesis(Settings):
    """What is expected of two rows, written before a test part is read; tested as it is written."""

    better: str
    """A row: a model, a baseline, or a half such as ``hybrid · linear model``; with ``refit`` of
    the plan also ``hybrid, refit · linear model``."""
    than: str
    """Another row."""
    metrics: Annotated[list[Column], Field(min_length=1)] | None = None
    """By default those that choose on validation, of each data set."""
    datasets: Annotated[list[Name], Field(min_length=1)] | None = None
    """By default, all that have both rows."""

    @model_validator(mode="after")
    def _two_rows(self) -> "Hypothesis":
        if self.better == self.than:
            raise ValueError(f"{self.better!r} cannot be better than itself")
        return self


class Plan(Settings):
    """Everything that a bench compares; with the data, it determines all results."""

    seeds: list[NonNegativeInt] = Field(default=[0], min_length=1)
    """Seeds of the models, and of baselines that draw at random; data are split once."""
    selection: Annotated[list[Measure], Field(min_length=1)] | None = None
    """Measures that choose everything on validation, as ``evaluate.selection``; by default those
    that are reported of each data set."""
    bootstrap: PositiveInt = 1000
    """Bootstrap samples of users for each interval and p-value."""
    refit: StrictBool = False
    """Fit every model and baseline once more on training and validation part, as validation chose
    it, and add these rows: ``hybrid, refit``."""
    keep_runs: StrictBool = False
    """Keep each model's run directory too: its data, tables and heads, many megabytes."""
    datasets: Annotated[dict[Name, DatasetPlan], Field(min_length=1)]
    """The data sets by name."""
    models: dict[Name, ModelPlan] = Field(default={})
    """The models by name."""
    baselines: list[Name] = Field(default=[])
    """Baselines, as ``evaluate.baselines``."""
    baseline_settings: dict[Name, dict[str, Any]] = Field(default={})
    """Baseline → its settings, as in ``evaluate.baseline_settings``."""
    hypotheses: list[Hypothesis] = Field(default=[])
    """Each gets a table of its own, p with Holm's correction over its data sets and measures."""

    @model_validator(mode="after")
    def _names_differ(self) -> "Plan":
        given = [*(f"seed {seed}" for seed in self.seeds), *self.baselines]
        if repeated := [name for name in given if given.count(name) > 1]:
            raise ValueError(f"{repeated[0]} is given twice")
        if both := sorted(set(self.models) & set(self.baselines)):
            raise ValueError(f"{both[0]!r} is a model and a baseline; rename the model")
        if not self.models and not self.baselines:
            raise ValueError("there is neither a model nor a baseline to compare")
        return self

    @model_validator(mode="after")
    def _hypotheses_name_what_is_there(self) -> "Plan":
        for hypothesis in self.hypotheses:
            for row in (hypothesis.better, hypothesis.than):
                name, _, half = row.partition(" · ")
                if self.refit:
                    name = name.removesuffix(REFIT)
                there = self.models if half else [*self.models, *self.baselines]
                if name not in there or not is_half(half or LINEAR):
                    raise ValueError(f"a hypothesis names {row!r}, which is no row of the plan")
            if missing := sorted(set(hypothesis.datasets or ()) - set(self.datasets)):
                raise ValueError(f"a hypothesis names {missing[0]!r}, no data set of the plan")
        return self

    def data_config(self, dataset: str) -> Config:
        """How a data set is read; its ``data`` section and ``seed`` count.

        Raises:
            ConfigError: a setting that does not exist or is out of range.
        """
        return possible(_named(f"datasets.{dataset}", None, self.datasets[dataset].overrides))

    def model_request(self, dataset: str, model: str, seed: int) -> Request:
        """The settings of one training, as far as the plan gives them.

        Raises:
            ConfigError: a setting that does not exist or is out of range.
            InputError: the model's configuration file does not exist.
        """
        chosen = self.models[model]
        overrides = [*self.datasets[dataset].overrides, *chosen.overrides, f"seed={seed}"]
        return _named(f"models.{model}", chosen.config, overrides)


def load_plan(path: Path, datasets: Collection[str] = ()) -> Plan:
    """Read a plan; every setting in it is checked, and every path is made absolute.

    Args:
        path: of the plan.
        datasets: whose files must be there; empty: those of all data sets.

    Raises:
        ConfigError: not TOML, an unknown key, or a value out of range; names key and value.
        InputError: the plan, or a folder or file that it names, does not exist.
    """
    if not path.is_file():
        raise InputError(f"no plan at {path}; give a TOML file such as benchmarks/quality.toml")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except NOT_TOML as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    try:
        plan = Plan.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_in_one_line(error.errors()[0])}") from None
    plan = _with_places(plan, path, datasets or plan.datasets)
    try:
        refuse_unknown_baselines(plan, prefix="")
        for name, given in plan.baseline_settings.items():
            baseline_named(name, given)  # before a cell is computed, not hours later
        for dataset in plan.datasets:
            plan.data_config(dataset)
            for model in plan.models:
                plan.model_request(dataset, model, plan.seeds[0])
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None
    return plan


def _with_places(plan: Plan, path: Path, wanted: Collection[str]) -> Plan:
    """The same plan with absolute paths; those of the wanted data sets exist."""
    folder = path.absolute().parent

    def place(key: str, given: str, there: bool = True) -> str:
        found = (folder / given).resolve()
        of_data = key.endswith(".data")
        if there and not (found.exists() if of_data else found.is_file()):
            known = f", nor is it one of {', '.join(SOURCES)}" if of_data else ""
            what = "nothing" if of_data else "no file"
            raise InputError(f"{path}: {key} = {given!r}: {what} at {found}{known}")
        return str(found)

    datasets = {
        name: dataset.model_copy(
            update={
                "data": dataset.data
                if dataset.data in SOURCES
                else place(f"datasets.{name}.data", dataset.data, name in wanted),
                "split": dataset.split
                and place(f"datasets.{name}.split", dataset.split, name in wanted),
            }
        )
        for name, dataset in plan.datasets.items()
    }
    models = {
        name: model
        if model.config in {None, "auto", *PRESETS}
        else model.model_copy(update={"config": place(f"models.{name}.config", str(model.config))})
        for name, model in plan.models.items()
    }
    return plan.model_copy(update={"datasets": datasets, "models": models})


def _named(place: str, source: str | None, overrides: Sequence[str]) -> Request:
    """Settings, with the plan's place in what is said of a wrong one."""
    try:
        return request_of(source, overrides)
    except InputError as error:
        raise type(error)(f"{place}: {error}") from None


_SECTIONS: Mapping[str, type[Settings]] = {"datasets": DatasetPlan, "models": ModelPlan}


def _in_one_line(error: ErrorDetails) -> str:
    """What is wrong with one key of the plan, its value shortened to 80 characters."""
    place = [str(part) for part in error["loc"] if part != "[key]"]
    key = ".".join(place)
    if error["type"] == "extra_forbidden":
        section = Plan if len(place) == 1 else _SECTIONS[place[0]]
        names = [field.alias or name for name, field in section.model_fields.items()]
        near = difflib.get_close_matches(place[-1], names, n=1)
        mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        return f"no key {key}: {mend}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in {"value_error", "missing"}:
        return f"{key}: {message}" if key else message
    return f"{key} = {shortened(repr(error['input']))}: {message}"
