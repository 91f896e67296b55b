"""From what somebody gives to a complete configuration: one function, :func:`resolve`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cllm4rec.config.baselines import refuse_unknown_baselines
from cllm4rec.config.complete import Config, checked
from cllm4rec.config.presets import PRESETS, SEQUENCES, SETS, reported_measures
from cllm4rec.config.sections import merged
from cllm4rec.config.toml import read_toml, with_overrides
from cllm4rec.errors import ConfigError

AUTO = "auto"
"""Not a preset but the choice between two by what the data are."""


@dataclass(frozen=True, slots=True)
class Request:
    """Settings as they are given: where to start from, and what to change there.

    Attributes:
        start: a preset's name, ``auto``, or a complete configuration such as a run's.
        changes: nested values, as in a TOML file; what they leave out is as in ``start``.
    """

    start: str | Config = AUTO
    changes: Mapping[str, Any] = field(default_factory=dict)


Given = Request | Config | Mapping[str, Any] | str | Path | None
"""A request, a complete configuration, changes (``preset`` may be among them), the name of a
preset or of a TOML file, or nothing: what :func:`request_of` takes."""


def request_of(given: Given = None, overrides: Sequence[str] = ()) -> Request:
    """What is given as a request, with ``stage.key=value`` on top; mistakes are refused here.

    Raises:
        ConfigError: unknown key, value out of range, or text that is not TOML; names the key and
            the value.
        InputError: the file does not exist.
    """
    if isinstance(given, Request):
        start, changes = given.start, dict(given.changes)
    elif isinstance(given, Config):
        start, changes = given, {}
    elif isinstance(given, Mapping):
        start, changes = AUTO, dict(given)
    elif given is None or str(given) in (AUTO, *PRESETS):
        start, changes = str(given or AUTO), {}
    elif not isinstance(given, str | Path):
        raise ConfigError(
            f"settings cannot be read from {given!r}; give a preset's name, a TOML file or a dict"
        )
    else:
        start, changes = AUTO, read_toml(Path(given))
    given_changes, changes = changes, with_overrides(changes, overrides)
    start = changes.pop("preset", start)
    if isinstance(start, Config):  # an override below a table of settings changes that table
        changes = with_overrides(given_changes, overrides, start.model_dump())
    if not isinstance(start, Config) and start not in (AUTO, *PRESETS):
        raise ConfigError(f"setting preset = {start!r}: there are {AUTO}, {', '.join(PRESETS)}")
    request = Request(start, changes)
    possible(request)
    return request


def resolve(request: Request, *, newest_held_out: bool, new_items: bool = False) -> Config:
    """The complete configuration that a request means for some data.

    ``auto`` is ``sequences`` where the held-out interactions are each user's newest, unless
    ``corpus.order = "random"`` is given; elsewhere it is ``sets``.

    A preset's measures of selection give way to those that the data's protocol reports, unless
    ``evaluate.selection`` is given.

    A preset's random weights are for its own backbone and depth: where ``backbone.name`` or
    ``backbone.depth`` is given and ``backbone.weights`` is not, the weights are pretrained.

    Args:
        request: as given.
        newest_held_out: whether the held-out interactions are each user's newest.
        new_items: whether they are those of items that training has not seen.

    Raises:
        ConfigError: what is given does not exist, is out of range, or does not go together.
    """
    start = request.start
    if start == AUTO:
        in_order = newest_held_out and _section(request, "corpus").get("order") != "random"
        start = SEQUENCES if in_order else SETS
    elif not isinstance(start, Config):
        start = PRESETS[start]
    if not isinstance(request.start, Config):
        measures = reported_measures(newest_held_out=newest_held_out, new_items=new_items)
        start = start.changed(evaluate={"selection": measures})
    values = merged(start, request.changes)
    given = _section(request, "backbone")
    if _has_presets_weights(start) and {"name", "depth"} & given.keys() and "weights" not in given:
        values["backbone"]["weights"] = "pretrained"
    config = checked(values)
    # Only what is given: a run is read where a package that it names is not installed.
    refuse_unknown_baselines(config.evaluate, _section(request, "evaluate"))
    return config


def possible(request: Request) -> Config:
    """One of the configurations that a request can come to mean.

    ``data``, ``seed``, ``threads`` and ``device`` are the same in all of them.

    Raises:
        ConfigError: it can mean none, whatever the data.
    """
    try:
        return resolve(request, newest_held_out=False)
    except ConfigError as error:
        if request.start == AUTO:
            try:
                return resolve(request, newest_held_out=True)
            except ConfigError:
                pass
        raise error from None


def backbone_in_force(config: Config) -> str:
    """One line: which backbone is trained, with which weights, and why those."""
    backbone, preset = config.backbone, PRESETS[config.preset].backbone
    depth = "all layers" if backbone.depth is None else f"first {backbone.depth} layers"
    line = f"backbone {backbone.name}, {depth}, {backbone.weights} weights"
    if backbone.weights == "random":
        if _has_presets_weights(config):
            return f"{line}: the preset {config.preset!r} takes them for this backbone and depth"
        return f"{line}, as given in backbone.weights"
    if preset.weights == "random":
        return (
            f"{line}, not the random ones of preset {config.preset!r}: backbone.name, .depth or "
            f".weights was given"
        )
    return line


def _has_presets_weights(config: Config) -> bool:
    """Whether the preset's choice of weights holds; another backbone's were given with it."""
    backbone, preset = config.backbone, PRESETS[config.preset].backbone
    return (backbone.name, backbone.depth, backbone.weights) == (
        preset.name,
        preset.depth,
        preset.weights,
    )


def _section(request: Request, name: str) -> Mapping[str, Any]:
    section = request.changes.get(name, {})
    return section if isinstance(section, Mapping) else {}  # what else it is, `checked` says
