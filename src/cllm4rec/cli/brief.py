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
_REASONS = {"repeated pair": "repeated pair (counts once)"}
"""Reasons of refused rows → what is shown where the reason alone sounds like a loss."""

MEASURES = (
    "recall@k: a user's held-out items among the first k, as a share of all that could stand there "
    "(at most k); ndcg@k: the same, but places nearer the top count more; 1 is perfect"
)


def prepared(result: Result, _options: Options) -> dict[str, Any]:
    """The report without what did not happen; the parts are there even where one is empty."""
    facts = {name: value for name, value in result.items() if name not in _OF_THE_RUN}
    kept = facts.pop("kept", {})
    parts = {
        name: count for name, count in kept.items() if count or name not in {"history", "reviews"}
    }
    facts["refused"] = {
        file: {_REASONS.get(reason, reason): count for reason, count in reasons.items()}
        for file, reasons in facts.get("refused", {}).items()
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
    """The table, what its measures are, and where the page of the same is."""
    run: RunDir = options["run"]
    page = {} if options.get("topk") else {"report": run.file("report.html")}
    return {**result, "measures": MEASURES, **page}


def exported(result: Result, _options: Options) -> dict[str, Any]:
    """What is in the folder, and how near the run's own lists its scores and indexes are."""
    k, scores, inverted, onnx = (result[name] for name in ("k", "scores", "inverted", "onnx"))
    facts = {name: result[name] for name in ("out", "users", "items")}
    facts["numbers of a vector"] = result["size"]
    facts["scores"] = f"of {scores['of']}"
    if scores["overlap"] < 1:
        facts["scores"] += f": {scores['overlap']:.1%} of the run's own best {k} are in its lists"
    facts["inverted index"] = (
        f"finds {inverted['recall']:.1%} of the best {k}, looking at {inverted['probes']} of "
        f"{inverted['lists']} cells; exact.faiss finds all"
    )
    if onnx is not None:
        facts["ONNX model"] = (
            f"vectors within {onnx['max_abs_difference']:.2g} of torch's in float32 (allowed: "
            f"{onnx['tolerance']:.2g}), within {onnx['max_abs_difference_from_run']:.2g} of the "
            f"run's own, which may be bfloat16's"
        )
    if (int8 := result["int8"]) is not None:
        facts["eight-bit model"] = (
            f"{int8['bytes'] / int8['float32_bytes']:.0%} of its size; "
            f"{int8['overlap']:.1%} of the best 100 of the float32 model are in its lists"
        )
    return {**facts, "details": f"{result['out']}/README.md"}


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
