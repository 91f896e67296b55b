"""The table and the slices as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from cllm4rec.config.naming import row_label, selection_line
from cllm4rec.experiments.slices import ACTIVITY, POPULARITY, SLICED
from cllm4rec.experiments.table import METRICS

HEADINGS: Mapping[str, str] = {
    metric: metric.replace("recall", "Recall").replace("ndcg", "NDCG") for metric in METRICS
}

_FOOT = """\
The whole catalogue is ranked for every user with a test item; what is known before is left out of
the lists. Everything that is chosen was chosen on validation. A value is the mean over
users of the mean over seeds; in brackets its 95 % bootstrap interval over users ({bootstrap:,}
resamples). Seconds: training or tuning, mean over seeds; ≥ where a cell was interrupted and
resumed. Peak MB: most resident memory of a cell's process, the largest over seeds.

The **best** baseline is taken for each metric by its mean on the *test* part, which favours the
baselines: the conservative choice. p: paired bootstrap over users, two-sided, of "as good as the
best baseline", with Holm's correction over the data sets of a row's model. A hypothesis is the
plan's; its p has Holm's correction over all its data sets and measures. Seed sd: standard deviation
of the mean over seeds; the split is fixed.
"""


def table_page(table: Mapping[str, Any]) -> str:
    """``table.md``: every row's metrics and cost, then how it differs from the best baseline."""
    rows: Sequence[Mapping[str, Any]] = table["rows"]
    heads = ["data", "split", "model", "seeds", *HEADINGS.values(), "seconds", "peak MB"]
    body = [
        [*_names(row), _seeds(row), *(_score(row, m) for m in METRICS), *_cost(row)] for row in rows
    ]
    shown = {(row["dataset"], row["model"]) for row in rows}
    for entry in table["failed"]:
        # The reason once in the table, where the model has no row that says anything else.
        if (entry["dataset"], entry["model"]) not in shown:
            shown.add((entry["dataset"], entry["model"]))
            name, reason = entry["model"] or "all", f"failed: {_text(entry['reason'])}"
            body.append([_text(entry["dataset"]), "", _text(name), "", reason, *[""] * 6])
    parts = ["# Quality", _markdown(heads, body)]
    if any(row["metrics"][m]["best_baseline"] for row in rows for m in METRICS):
        heads = ["data", "model", *HEADINGS.values()]
        body = [
            [_text(row["dataset"]), _text(row_label(row)), *(_difference(row, m) for m in METRICS)]
            for row in rows
        ]
        parts += ["## Against the best baseline", _markdown(heads, body)]
    parts += _hypotheses(table["hypotheses"])
    if any(row["metrics"][m]["seed_sd"] is not None for row in rows for m in METRICS):
        body = [
            [_text(row["dataset"]), _text(row_label(row)), *(_seed_sd(row, m) for m in METRICS)]
            for row in rows
            if len(row["seeds"]) > 1
        ]
        parts += ["## Seed sd", _markdown(["data", "model", *HEADINGS.values()], body)]
    if made := {(row["dataset"], row["model"]): row["made_by"] for row in rows if row["made_by"]}:
        lines = [f"- {_text(' · '.join(name))}: {text}" for name, text in made.items()]
        parts += ["## What ran", "\n".join(lines)]
    if selected := {row["dataset"]: selection_line(row["selection"]) for row in rows}:
        lines = [f"- {_text(name)}: {measures}" for name, measures in selected.items()]
        parts += ["## Chosen on validation by", "\n".join(lines)]
    for key, title in (("failed", "Failed"), ("left_out", "Left out"), ("missing", "Missing")):
        if table[key]:
            parts += [f"## {title}", "\n".join(map(_entry, table[key]))]
    parts.append(_FOOT.format(bootstrap=table["bootstrap"]).rstrip())
    return "\n\n".join(parts) + "\n"


def _hypotheses(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    """A heading and a table for each hypothesis of the plan that could be tested."""
    parts = []
    for better, than in dict.fromkeys((test["better"], test["than"]) for test in tests):
        family = [t for t in tests if (t["better"], t["than"]) == (better, than)]
        body = [
            [
                _text(test["dataset"]),
                " / ".join(", ".join(map(str, seeds)) for seeds in test["seeds"]),
                HEADINGS[test["metric"]],
                "" if test["difference"] is None else f"{100 * test['difference']:+.1f} %",
                f"{test['p']:.3f}",
                f"{test['p_holm']:.3f}",
            ]
            for test in family
        ]
        heads = ["data", "seeds", "measure", "difference", "p", "p, Holm"]
        parts += [
            f"## Hypothesis: {_text(better)} above {_text(than)}",
            _markdown(heads, body),
        ]
    return parts


def slices_page(table: Mapping[str, Any]) -> str:
    """``slices.md``: a table for users by activity and one for items by popularity, per metric."""
    rows: Sequence[Mapping[str, Any]] = table["rows"]
    parts = ["# Slices"]
    for by, names, title, meaning in (
        ("users", ACTIVITY, "Users by activity", "interactions known before the test part"),
        ("items", POPULARITY, "Items by popularity", "training interactions of the relevant item"),
    ):
        parts += [f"## {title}", f"Columns: {meaning}. In square brackets: users who count."]
        for metric in SLICED:
            heads = ["data", "model", *(f"{name}" for name in names)]
            body = [
                [_text(row["dataset"]), _text(row_label(row)), *_slices(row, by, metric, names)]
                for row in rows
            ]
            parts += [f"### {HEADINGS[metric]}", _markdown(heads, body)]
    parts.append(
        "Items of one slice alone count as relevant, for the users who have one; the lists are the "
        "same. Intervals: 95 %, bootstrap over users."
    )
    return "\n\n".join(parts) + "\n"


def _names(row: Mapping[str, Any]) -> list[str]:
    return [_text(row["dataset"]), row["splitting"], _text(row_label(row))]


def _seeds(row: Mapping[str, Any]) -> str:
    return ", ".join(map(str, row["seeds"]))


def _score(row: Mapping[str, Any], metric: str) -> str:
    value = row["metrics"][metric]
    mean = f"{value['mean']:.4f}"
    shown = f"**{mean}**" if value["best_baseline"] == row["model"] else mean
    return f"{shown} {_interval(value)}"


def _interval(value: Mapping[str, Any]) -> str:
    return f"({value['low']:.3f} – {value['high']:.3f})"  # noqa: RUF001


def _cost(row: Mapping[str, Any]) -> list[str]:
    if row["seconds"] is None:
        return ["", ""]
    least = "≥ " if row["seconds_at_least"] else ""
    return [f"{least}{row['seconds']:,.0f}", f"{row['peak_mb']:,.0f}"]


def _difference(row: Mapping[str, Any], metric: str) -> str:
    value = row["metrics"][metric]
    if value["p"] is None:
        return "**best**" if value["best_baseline"] == row["model"] else ""
    if value["difference"] is None:
        return f"p {value['p_holm']:.3f}"
    return f"{100 * value['difference']:+.1f} %, p {value['p_holm']:.3f}"


def _seed_sd(row: Mapping[str, Any], metric: str) -> str:
    return f"{row['metrics'][metric]['seed_sd']:.4f}"


def _slices(row: Mapping[str, Any], by: str, metric: str, names: Mapping[str, Any]) -> list[str]:
    found = {
        part["slice"]: part
        for part in row["slices"]
        if (part["by"], part["metric"]) == (by, metric)
    }
    return [
        f"{found[name]['mean']:.4f} {_interval(found[name])} [{found[name]['users']:,}]"
        if name in found
        else ""
        for name in names
    ]


def _entry(entry: Mapping[str, Any]) -> str:
    named = [entry["dataset"], entry["model"] or "all"]
    if entry["seed"] is not None:
        named.append(f"seed {entry['seed']}")
    reason = f": {entry['reason']}" if "reason" in entry else ""
    return f"- {_text(' · '.join(named) + reason)}"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def _text(text: str) -> str:
    """A name or a reason inside a Markdown table."""
    return text.replace("|", "\\|")
