"""What is shown of a run, in what order, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from cllm4rec.config.naming import row_label, selection_line
from cllm4rec.report.curves import loss_curves, validation_curves
from cllm4rec.report.figures import interval_figure, loss_figure, validation_figure
from cllm4rec.run import RunDir, atomic_write, read_json

METRICS = ("recall@10", "recall@20", "recall@40", "ndcg@10", "ndcg@100", "mrr", "coverage@20")
"""Columns of the results table, in this order."""
DRAWN = ("recall@20", "recall@40", "ndcg@100")
"""Metrics that are also drawn: those the best epoch is chosen by."""


def write_report(run: RunDir) -> Path:
    """Write ``report.html`` from what is in the run so far; what is missing is left out.

    Args:
        run: any run; its metrics, results, data report and settings are read.

    Returns:
        The path of the page.

    Raises:
        IntegrityError: a JSON file of the run is damaged.
    """
    sections = [
        _results(_json(run, "results.json")),
        _training(run),
        _data(_json(run, "data", "report.json")),
        _settings(run.file("config.toml")),
    ]
    style = files("cllm4rec.report").joinpath("style.css").read_text(encoding="utf-8")
    name = escape(run.path.absolute().name)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} · cllm4rec</title>
<style>
{style}</style>
</head>
<body>
<main>
<header><h1>{name}</h1><p>{_subtitle(run)}</p></header>
{"".join(filter(None, sections))}</main>
</body>
</html>
"""
    path = run.file("report.html")
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _json(run: RunDir, *parts: str) -> dict[str, Any]:
    path = run.file(*parts)
    value: dict[str, Any] = read_json(path) if path.is_file() else {}
    return value


def _subtitle(run: RunDir) -> str:
    stages = _json(run, "manifest.json").get("stages", {})
    done = [f"{stage} {record['seconds']:,.0f} s" for stage, record in stages.items()]
    return escape(" · ".join(["a run of cllm4rec", *done]))


def _results(results: Mapping[str, Any]) -> str:
    rows: Sequence[Mapping[str, Any]] = results.get("rows", [])
    if not rows:
        return ""
    metrics = [name for name in METRICS if any(_metric(row, name) for row in rows)]
    body = [
        [f"<th scope=row>{escape(row_label(row))}{_note(row.get('settings'))}</th>"]
        + [_score(_metric(row, name)) for name in metrics]
        for row in rows
    ]
    drawn = [
        interval_figure(name, [(row_label(row), _metric(row, name)) for row in rows])
        for name in DRAWN
        if all(_metric(row, name) for row in rows)
    ]
    part = escape(str(results.get("part", "test")))
    users = f", {rows[0]['users']:,} users" if "users" in rows[0] else ""
    selection = results.get("selection")
    chosen_by = f", by {escape(selection_line(selection))}," if selection else ""
    made_by = f" Our own rows: {escape(results['made_by'])}." if "made_by" in results else ""
    text = (
        f"<p>The {part} part{users}: the whole catalogue ranked, known items left out. Under each "
        f"mean its 95&nbsp;% bootstrap interval over users; everything that is chosen{chosen_by} "
        f"was chosen on the validation part.{made_by}</p>"
    )
    if results.get("verdict"):
        text += f"<p>{escape(results['verdict'])}.</p>"
    return _section("Results", text + _table(["model", *metrics], body) + _figures(drawn))


def _training(run: RunDir) -> str:
    rows = run.metrics()
    record = _json(run, "manifest.json").get("stages", {}).get("finetune", {})
    losses = [loss_figure(curve) for curve in loss_curves(rows)]
    valid = [
        validation_figure(curve, record.get("best_epoch"))
        for curve in validation_curves(rows)
        if curve.name in DRAWN
    ]
    return _section("Training", _figures(losses) + _figures(valid)) if losses or valid else ""


def _data(report: Mapping[str, Any]) -> str:
    if not report:
        return ""
    refused = [
        [f"<td>{escape(file)}</td>", f"<td>{escape(str(reason))}</td>", _number(count)]
        for file, reasons in report.get("refused", {}).items()
        for reason, count in reasons.items()
    ]
    facts = [
        [f"<th scope=row>{escape(name)}</th>", _number(value)]
        for name, value in _flat(report, leave_out="refused")
    ]
    text = _table(["", ""], facts)
    text += "<h3>Refused rows</h3>"
    text += _table(["file", "reason", "rows"], refused) if refused else "<p>None.</p>"
    return _section("Data", text)


def _settings(path: Path) -> str:
    if not path.is_file():
        return ""
    toml = escape(path.read_text(encoding="utf-8"))
    return _section(
        "Settings", f"<details open><summary>config.toml</summary><pre>{toml}</pre></details>"
    )


def _flat(
    values: Mapping[str, Any], leave_out: str = "", prefix: str = ""
) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        if key == leave_out:
            continue
        name = f"{prefix}{key}".replace("_", " ")
        rows += _flat(value, prefix=f"{name} · ") if isinstance(value, Mapping) else [(name, value)]
    return rows


def _metric(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Mean, low and high; empty where the row has no such metric."""
    value = row["metrics"].get(name, row.get(name))
    if isinstance(value, Mapping):
        return value
    return {} if value is None else {"mean": value}


def _score(value: Mapping[str, Any]) -> str:
    if not value:
        return "<td></td>"
    interval = ""
    if value.get("low") is not None:
        interval = f"<small>{value['low']:.3f} – {value['high']:.3f}</small>"  # noqa: RUF001
    return f"<td class=number>{value['mean']:.4f}{interval}</td>"


def _note(settings: Mapping[str, Any] | None) -> str:
    if not settings:
        return ""
    return f"<small>{escape(', '.join(f'{k} {v}' for k, v in settings.items()))}</small>"


def _number(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"<td class=number>{value:,}</td>"
    return f"<td>{escape(str(value))}</td>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    top = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    return f"<div class=wide><table>{top}<tbody>\n{body}</tbody></table></div>\n"


def _figures(drawings: Sequence[str]) -> str:
    return f"<div class=figures>{''.join(drawings)}</div>\n"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>\n{content}</section>\n"
