"""What a person reads of a stage's result.

Nothing is lost: `--json` has all of it, and the run keeps it (``data/report.json``,
``manifest.json``, ``metrics.jsonl``).
"""

from collections.abc import Mapping
from typing import Any

from cllm4rec import progress
from cllm4rec.cli.following import trained_run
from cllm4rec.cli.output import Options, Result
from cllm4rec.config import read_config
from cllm4rec.run import RunDir

_OF_THE_RUN = {"seed", "split_file"}
"""Facts of a report that say nothing of the data."""


def prepared(result: Result, _options: Options) -> dict[str, Any]:
    """The report without what did not happen; the parts are there even where one is empty."""
    facts = {name: value for name, value in result.items() if name not in _OF_THE_RUN}
    kept = facts.pop("kept", {})
    parts = {
        name: count for name, count in kept.items() if count or name not in {"history", "reviews"}
    }
    return {**_without_zeros(facts), "kept": parts}


def trained(result: Result, options: Options) -> dict[str, Any]:
    """What validation chose, how good that was there, and where the rest is."""
    run, done = trained_run(options), result.get("finetune")
    if done is None:
        return dict(result)
    seconds = sum(stage["seconds"] for stage in result.values())
    facts = {"chosen": done["chosen"], "trained in": progress.duration(seconds)}
    if valid := _selected(run, done["valid"]):
        facts["on validation"] = ", ".join(f"{name} {mean:.4f}" for name, mean in valid.items())
    return {**facts, "details": run.file("manifest.json")}


def evaluated(result: Result, options: Options) -> dict[str, Any]:
    """The table, and where the page of the same is."""
    run: RunDir = options["run"]
    page = run.file("report.html")
    return dict(result) if options.get("topk") else {**result, "report": page}


def demonstrated(result: Result, options: Options) -> dict[str, Any]:
    """What each stage of the demo says by itself."""
    short = {"prepare": prepared, "train": trained}
    return {
        name: short[name](value, options) if name in short else value
        for name, value in result.items()
    }


def _selected(run: RunDir, means: Mapping[str, float]) -> Mapping[str, float]:
    """The measures that chose; all where the run does not say which did."""
    settings = run.file("config.toml")
    if not settings.is_file():
        return means
    chosen = read_config(settings).evaluate.selection
    return {name: means[name] for name in chosen if name in means}


def _without_zeros(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Without counts of nothing and what nothing is said of, at any depth.

    A "no" stays, and so does a measured 0, as of the lowest rating.
    """
    found = {
        name: _without_zeros(value) if isinstance(value, Mapping) else value
        for name, value in facts.items()
    }
    return {
        name: value
        for name, value in found.items()
        if value or value is False or isinstance(value, float)
    }
