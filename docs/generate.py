"""Write what follows from the code (``make docs``): two pages and the table of layers."""

import ast
import copy
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cllm4rec.cli import cllm4rec
from cllm4rec.config import PRESETS, Config, to_toml
from cllm4rec.experiments.plan import DatasetPlan, Hypothesis, ModelPlan, Plan
from cllm4rec.models.families import FAMILIES

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "src" / "cllm4rec"
NOTE = "<!-- Written by `make docs`; change the program, not this page. -->"


def cli_page() -> str:
    """Every command's ``--help``."""
    parts = ["# Command line", NOTE, _CLI_INTRODUCTION, _help(cllm4rec, "cllm4rec")]
    for name, command in cllm4rec.commands.items():
        parts += [f"## {name}", _help(command, f"cllm4rec {name}")]
        for part, below in getattr(command, "commands", {}).items():
            parts += [f"### {name} {part}", _help(below, f"cllm4rec {name} {part}")]
    return "\n\n".join(parts) + "\n"


def configuration_page() -> str:
    """Every setting: key, its value in each preset, allowed values, meaning."""
    parts = ["# Settings", NOTE, _CONFIGURATION_INTRODUCTION, _small(), _table(Config, "")]
    for name, field in Config.model_fields.items():
        if _is_section(field):
            section = field.annotation
            title = (section.__doc__ or "").strip().splitlines()[0].replace("``", "`")
            parts += [f"## {name}", title, _table(section, name)]
    parts += ["## A preset as a file", f"```toml\n{to_toml(PRESETS['sets']).rstrip()}\n```"]
    parts += ["## A plan for `bench quality`", _PLAN_INTRODUCTION]
    for title, model in _PLAN_TABLES.items():
        parts += [title, _plan_table(model)]
    return "\n\n".join(parts) + "\n"


def architecture_page() -> str:
    """The page as it is, its table of layers anew: from pyproject.toml and the modules."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    before, start, rest = page.partition("<!-- layers: ")
    note, _mark, after = rest.partition("-->")
    _old, end, after = after.partition("<!-- end of layers -->")
    return f"{before}{start}{note}-->\n\n{_layers()}\n\n{end}{after}"


def backbones_page() -> str:
    """The page as it is, its table of families anew: from models/families.py."""
    rows = ["| family | `model_type` | tested | own layers | KV cache | notes |", "|" + "---|" * 6]
    for family in FAMILIES:
        types = ", ".join(f"`{name}`" for name in family.model_types)
        rows.append(
            f"| {family.name} | {types} | yes | {family.own_layers} | yes | {family.notes} |"
        )
    page = (DOCS / "backbones.md").read_text(encoding="utf-8")
    before, start, rest = page.partition("<!-- families: ")
    note, _mark, after = rest.partition("-->")
    _old, end, after = after.partition("<!-- end of families -->")
    table = "\n".join(rows)
    return f"{before}{start}{note}-->\n\n{table}\n\n{end}{after}"


def decisions_page() -> str:
    """Every decision by its title, the newest first."""
    lines = ["| | |", "|---|---|"]
    for path in sorted((DOCS / "decisions").glob("0*.md"), reverse=True):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        number, _dot, name = title.partition(". ")
        lines.append(f"| {number} | [{name}]({path.name}) |")
    return "\n\n".join(["# Decisions", NOTE, _DECISIONS_INTRODUCTION, "\n".join(lines)]) + "\n"


_IN_COLUMNS = ("sets", "sequences", "paper")
"""Presets with a column of their own; `paper-small` is told by what it has of its own."""


def _small() -> str:
    """Where `paper-small` is not `paper`."""
    paper, small = (PRESETS[name].model_dump() for name in ("paper", "paper-small"))
    lines = ["| `paper-small`, else as `paper` | |", "|---|---|"]
    for section, values in small.items():
        if isinstance(values, dict):
            own = {key: value for key, value in values.items() if value != paper[section][key]}
            lines += [f"| `{section}.{key}` | `{to_toml_value(own[key])}` |" for key in own]
    return "\n".join(lines)


PAGES = {
    "architecture.md": architecture_page,
    "backbones.md": backbones_page,
    "cli.md": cli_page,
    "configuration.md": configuration_page,
    "decisions/index.md": decisions_page,
}

_DECISIONS_INTRODUCTION = """\
What was tried, what was measured, what was decided and why; also what did not work."""

_CLI_INTRODUCTION = """\
Progress and messages go to standard error; a command's result goes to standard output, as tables
or, with `--json`, as exactly one JSON object. Tables are what a person needs; the object has all of
[it](json.md), and so have the run's `data/report.json` and `manifest.json`. Where tables are
printed, `data`, `prepare`, `train`, `refit`, `evaluate`, `add-items` and `demo` end with a line
`next: …`: the command that follows, to be copied as it stands.

| exit code | meaning |
|---|---|
| 0 | done |
| 2 | wrong input or usage: one line `error: …` that says what, where and the mend |
| 130 | interrupted (Ctrl-C): give the command again; 0 of `serve`, which has ended in order |
| 143 | the same, by SIGTERM; several processes that train together end with 1, and say why |
| 1 | a fault of the program, with its traceback: please report it; or a bench's cell failed |

`initialise`, `pretrain`, `finetune` and `train` begin from the run's settings, as `prepare` or the
last of them left them, unless `--config` names a preset or another file; `--set` comes on top. The
data are read as they were prepared. What a run serves stays its model and `config.toml` until
another training is complete: the settings of one that has begun wait in `checkpoints/config.toml`,
and go where it is refused, as one that diverges is.

| variable | what it says |
|---|---|
| `CLLM4REC_CACHE` | folder of backbones, readings of texts and fetched data; `~/.cache/cllm4rec` |
| `CLLM4REC_KEYS` | keys of `serve`, beside those of `--keys` |
| `OMP_NUM_THREADS` | threads where the setting `threads` is 0; those of the service's model |
| `HF_HOME`, `HF_HUB_OFFLINE` | the Hugging Face cache, for backbones of the hub; no downloads |
| `RANK`, `WORLD_SIZE`, … | of `torchrun`: [processes](scale.md#training-on-several-processes) |
| `COLUMNS` | width of tables and of help |"""

_CONFIGURATION_INTRODUCTION = """\
A preset gives every setting a value; what you give comes on top:

<!-- file: mine.toml -->
```toml
preset = "sequences"

[finetune]
epochs = 5
```

```console
cllm4rec prepare --data DATA --run RUN-1 --set finetune.epochs=5 --set backbone.depth=4
cllm4rec prepare --data DATA --run RUN-2 --config mine.toml
cllm4rec prepare --data DATA --run RUN-3 --config paper
```

`--config` takes the name of a preset or a TOML file, which may name one at its top. The value of
`--set` is TOML, or plain text where it is not TOML. A key that does not exist is refused. In
Python: `CLLM4Rec("paper")`, `CLLM4Rec("mine.toml")`, `CLLM4Rec({"finetune": {"epochs": 5}})`.

| preset | for |
|---|---|
| `auto` | default: `sequences` where each user's newest interactions are held out, else `sets` |
| `sets` | interactions held out at random: a history is a set |
| `sequences` | the newest interactions held out: a history is a sequence |
| `paper` | the paper ([value by value](method.md)): GPT-2, for a GPU |
| `paper-small` | the paper's method for processors: two layers, a tenth of the passes |

`prepare` decides every setting once and leaves them all in the run's `config.toml`; the run is
trained with what stands there. `train --set` changes values there, `train --config` replaces them
all but those of `[data]`; in a run that has a model both count once the new one is complete.
`evaluate --set` changes baselines, their settings and `bootstrap` there, for good.

With `auto`, `corpus.order = "random"` chooses `sets` whatever is held out.

**Random weights.** The presets `sets` and `sequences` draw the transformer's weights at random, for
their own backbone at its own depth alone: where `backbone.name` or `backbone.depth` is given and
`backbone.weights` is not, the pretrained weights are kept. `prepare` and `train` say which weights
are in force, and why."""


def _layers() -> str:
    settings = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    lines = ["| layer | what it is |", "|---|---|"]
    for layer in layers:
        if layer.startswith("("):  # a layer that has no module yet
            continue
        names = layer.split(" | ")
        meanings = "<br>".join(map(_first_line, names))
        lines.append(f"| {'<br>'.join(f'`{name}`' for name in names)} | {meanings} |")
    return "\n".join(lines)


def _first_line(module: str) -> str:
    path = SOURCE / f"{module}.py"
    path = path if path.is_file() else SOURCE / module / "__init__.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].replace("``", "`").replace("|", "\\|")


def _help(command: click.Command, path: str) -> str:
    # click keeps a command's help option as it was at its first use, maybe without the group.
    command = copy.copy(command)
    command._help_option = None
    context = click.Context(command, info_name=path, terminal_width=88, **cllm4rec.context_settings)
    return f"```text\n{command.get_help(context)}\n```"


_PLAN_INTRODUCTION = """\
Several models, baselines, data sets and seeds in one table with intervals and paired tests. The
plan is a TOML file; a small one:

<!-- file: plan.toml -->
```toml
seeds = [0, 1]
baselines = ["popularity", "ease", "ease-text-order"]

[datasets.shop]
data = "DATA"  # relative to this file
protocol = "leave-last-out"

[models.hybrid]

[models."no texts"]
set = ["model.content=false"]

[[hypotheses]]
better = "hybrid"
than = "no texts"
```

<!-- not run: minutes -->
```console
cllm4rec bench quality plan.toml --out bench
```

A data set, a model and a seed make a cell in `bench`, computed once, and again where settings, data
or the backbone's files are others; `bench/table.md` has the table. A larger plan is
`benchmarks/quality.toml` in the repository."""

_PLAN_TABLES: dict[str, type[BaseModel]] = {
    "At the top of the file:": Plan,
    "In each table `[datasets.NAME]`:": DatasetPlan,
    "In each table `[models.NAME]`, which may be empty (the preset `auto`):": ModelPlan,
    "In each table `[[hypotheses]]`:": Hypothesis,
}


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _table(section: Any, name: str) -> str:
    lines = [f"| key | {' | '.join(_IN_COLUMNS)} | allowed | meaning |", f"|{'---|' * 6}"]
    for key, field in section.model_fields.items():
        if _is_section(field):
            continue
        values = [PRESETS[preset].model_dump() for preset in _IN_COLUMNS]
        shown = [to_toml_value((value[name] if name else value)[key]) for value in values]
        meaning = re.sub(r"\s+", " ", field.description or "").replace("``", "`")
        named = f"`{name}.{key}`" if name else f"`{key}`"
        cells = [named, *(f"`{text}`" for text in shown), _values(field), meaning]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _plan_table(model: type[BaseModel]) -> str:
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key, field in model.model_fields.items():
        default = "needed" if field.is_required() else f"`{to_toml_value(field.default)}`"
        shown = "none" if field.default is None else default
        meaning = re.sub(r"\s+", " ", field.description or "").replace("``", "`")
        lines.append(f"| `{field.alias or key}` | {shown} | {meaning} |")
    return "\n".join(lines)


def to_toml_value(value: Any) -> str:
    """A value as it would stand in a TOML file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(to_toml_value, value))}]"
    return str(value)


def _values(field: FieldInfo) -> str:
    annotation = field.annotation
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is list:
        return "list of " + _values(FieldInfo(annotation=get_args(annotation)[0]))
    if get_origin(annotation) is dict:
        texts = get_args(annotation)[1] is str
        return "table of texts" if texts else "table of tables"
    if annotation not in _KINDS:
        return 'whole number > 0 or `"all"`'
    limits = {
        sign: limit
        for metadata in field.metadata
        for name, sign in _SIGNS.items()
        if (limit := getattr(metadata, name, None)) is not None
    }
    if {"≥", "≤"} <= limits.keys():
        return f"{_KINDS[annotation]} from {limits['≥']} to {limits['≤']}"
    return " ".join([_KINDS[annotation], ", ".join(f"{s} {n}" for s, n in limits.items())]).strip()


_KINDS: dict[Any, str] = {
    bool: "`true`, `false`",
    int: "whole number",
    float: "number",
    str: "text",
}
_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


if __name__ == "__main__":
    for file_name, page in PAGES.items():
        (DOCS / file_name).write_text(page(), encoding="utf-8")
        print(f"wrote docs/{file_name}")
