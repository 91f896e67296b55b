"""evaluate: test metrics of the model and of tuned baselines, in one table."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec import progress
from cllm4rec.baselines import Baseline, Context, baseline_named
from cllm4rec.baselines.tuning import tune
from cllm4rec.config import Config, naming, possible, read_config, request_of
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.lengths import Weight
from cllm4rec.ensemble.weight import ranked_by_weight
from cllm4rec.errors import ConfigError
from cllm4rec.evaluation.protocol import (
    DEPTH,
    Report,
    evaluate_ranking,
    evaluate_scorer,
    evaluated_users,
)
from cllm4rec.evaluation.selection import Selection
from cllm4rec.evaluation.verdict import verdict
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir, atomic_write, exclusive, write_json
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.measurable import refuse_unmeasurable
from cllm4rec.stages.settings import CHANGEABLE, write_settings

TRAINING = ("initialise", "pretrain", "finetune")
"""Stages whose seconds count as training time."""


def evaluate(
    run: RunDir,
    *,
    topk: Path | None = None,
    recommender: Recommender | None = None,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Score the run's model and the baselines on the test part, or anyone's top-k file.

    Args:
        run: finetuned; for ``topk``, prepared is enough.
        topk: Parquet ``user_id, item_id, rank, score`` to score instead.
        recommender: the run's model, if it is loaded.
        overrides: ``evaluate.key=value`` of `CHANGEABLE`; the run keeps them.

    Returns:
        ``part``, ``selection`` (the run's measures that chose) and ``rows`` (a model each, means
        and 95 % intervals); without ``topk`` also ``made_by`` (what was trained, in one line),
        ``left_out`` (baseline → why it is unavailable) and ``verdict`` (the model beside the best
        baseline, in one line; None where nothing can be compared).

    Raises:
        RunError: a required stage is not done, or ``run`` is a saved model.
        InputError: the top-k file violates the format, or `refit` trained on the test part too.
        ConfigError: an override that does not exist, or of what was trained.
    """
    refuse_unmeasurable(run)
    run.require("prepare")
    config = _changed(read_config(run.file("config.toml")), overrides)
    dataset = Dataset.open(run.file("data"))
    if topk is not None:
        ranked = RankedItems.read(topk, dataset.users, dataset.items, DEPTH)
        report = evaluate_ranking(ranked, dataset, "test", bootstrap=config.evaluate.bootstrap)
        _note_no_hit(topk, run, report)
        selection = config.evaluate.selection
        return {
            "part": "test",
            "selection": selection,
            "rows": [_row(topk.name, {}, report, 0.0)],
        }
    return _table(run, dataset, config, recommender)


def _note_no_hit(topk: Path, run: RunDir, report: Report) -> None:
    """Lists of another purpose score 0 as the worst do; a figure alone does not say which."""
    if any(values.any() for values in report.per_user.values()):
        return
    progress.note(
        f"no list in {topk} has a held-out item of its user: lists for service (recommend --all) "
        f"leave out the whole history, held-out items too; to be measured, leave out only train, "
        f"valid and history of {run.file('split.parquet')}; `evaluate` without --topk measures the "
        f"run's own model"
    )


def _changed(config: Config, overrides: Sequence[str]) -> Config:
    request = request_of(config, overrides)
    for section, values in request.changes.items():
        for key in values if isinstance(values, dict) else [""]:
            if section != "evaluate" or key not in CHANGEABLE:
                name = f"{section}.{key}".rstrip(".")
                raise ConfigError(
                    f"setting {name} cannot be changed for evaluate, which trains and chooses "
                    f"nothing: give it to train; here there are evaluate.{', '.join(CHANGEABLE)}"
                )
    return possible(request)


@exclusive
def _table(
    run: RunDir, dataset: Dataset, config: Config, recommender: Recommender | None
) -> dict[str, Any]:
    """Measure all models; write results and the HTML report into the run."""
    started_at_s = time.perf_counter()
    run.require("finetune")
    settings = config.evaluate.baseline_settings
    # Check all settings before the first fit, so that errors appear at once.
    baselines = [baseline_named(name, settings.get(name)) for name in config.evaluate.baselines]
    if config != read_config(run.file("config.toml")):
        write_settings(run.file("config.toml"), config)
    rows, baseline_reports, left_out = _baseline_rows(baselines, dataset, config)
    # The test part knows nothing of items that were added later.
    if recommender is None or recommender.scorer.added is not None:
        recommender = Recommender.load(run.path, added=False)
    own_rows, report = _own_rows(run, recommender, config)
    rows = [*own_rows, *rows]
    selection = config.evaluate.selection
    items = len(dataset.items)
    if deep := [each for each in selection if 2 * int(each.partition("@")[2] or 0) > items]:
        progress.note(
            f"a list for {' or '.join(deep)} has more than half of the {items} items: it says "
            f"little"
        )
    bootstrap = config.evaluate.bootstrap
    name = naming.row_label(own_rows[0])
    made_by = naming.made_by(config)
    results = {
        "part": "test",
        "selection": selection,
        "made_by": made_by,
        "rows": rows,
        "left_out": left_out,
        "verdict": verdict(name, report, baseline_reports, selection, bootstrap),
    }
    write_json(run.file("results.json"), results)
    seconds = time.perf_counter() - started_at_s
    run.finish("evaluate", [run.file("results.json"), run.file("topk")], seconds)
    # Imported late: matplotlib is slow to import.
    from cllm4rec.report import write_report

    write_report(run)
    return results


def model_rankings(
    recommender: Recommender, dataset: Dataset
) -> Iterator[tuple[str, float, RankedItems]]:
    """Lists of the model for the test part and, if it blends, of each half.

    Args:
        recommender: a trained model.
        dataset: the run's data.

    Yields:
        Name (``""`` for the model itself, which comes first, else that of a half), blend weight,
        and lists of :data:`DEPTH` items of every test user.
    """
    scorer = recommender.scorer
    users, known = evaluated_users(dataset, "test"), dataset.known("test")
    named = {"": 0.0}
    if scorer.linear is not None:
        half = naming.language_half(recommender.config)
        named = {"": scorer.weight, half: 0.0, naming.LINEAR: 1.0}
    weights: dict[str, Weight] = {**named, "": scorer.by_length or scorer.weight}
    ranked = ranked_by_weight(weights, scorer, users, known.rows(users), "Ranking")
    for name, weight in named.items():
        yield name, weight, ranked[name]


def _own_rows(
    run: RunDir, recommender: Recommender, config: Config
) -> tuple[list[dict[str, Any]], Report]:
    """The model's row and, if it blends, one row for each half; the model's report."""
    dataset = recommender.dataset
    stages = [stage for stage in TRAINING if run.is_done(stage)]
    trained_s = sum(run.info(stage)["seconds"] for stage in stages)
    epoch, linear = int(run.info("finetune")["best_epoch"]), recommender.scorer.linear
    rows, reports = [], []
    for name, weight, ranked in model_rankings(recommender, dataset):
        report = evaluate_ranking(ranked, dataset, "test", bootstrap=config.evaluate.bootstrap)
        reports.append(report)
        if name:
            row = _row(f"· {name}", {}, report, 0.0 if name == naming.LINEAR else trained_s)
            if name != naming.LINEAR and epoch == 0:
                row["note"] = naming.chosen_note(epoch, 0.0, linear=False)
            rows.append(row)
            continue
        ranked.write(run.file("topk", "test.parquet"), dataset.users, dataset.items)
        _write_per_user(run.file("topk", "test-per-user.parquet"), report)
        settings: dict[str, Any] = {}
        if linear is not None:
            short = recommender.scorer.by_length
            settings = {"blend weight": weight, **linear.settings}
            settings |= {} if short is None else {"blend weight in short histories": str(short)}
        row = _row(naming.model_name(config), settings, report, trained_s)
        if note := naming.chosen_note(epoch, weight, linear=linear is not None):
            row["note"] = note
        rows.append(row)
    return rows, reports[0]


def _baseline_rows(
    baselines: Sequence[Baseline], dataset: Dataset, config: Config
) -> tuple[list[dict[str, Any]], dict[str, Report], dict[str, str]]:
    """Rows and reports of the available baselines; for the others, the reason by name."""
    rows: list[dict[str, Any]] = []
    reports: dict[str, Report] = {}
    left_out: dict[str, str] = {}
    seed = derived_seed(config.seed, "baselines")
    selection = Selection.of(dataset, config.evaluate.selection, seed)
    context = Context.of(dataset, seed, selection)
    if not len(selection.users):
        nothing = "nothing is held out for validation, so its settings cannot be chosen"
        return [], {}, {baseline.name: nothing for baseline in baselines}
    for baseline in baselines:
        started_at_s = time.perf_counter()
        if reason := baseline.unavailable(context):
            left_out[baseline.name] = reason
            continue
        tuned = tune(baseline, dataset.part("train"), selection, context)
        report = evaluate_scorer(tuned.scorer, dataset, "test", bootstrap=config.evaluate.bootstrap)
        reports[baseline.name] = report
        rows.append(_row(baseline.name, tuned.settings, report, time.perf_counter() - started_at_s))
    return rows, reports, left_out


def _row(model: str, settings: dict[str, Any], report: Report, seconds: float) -> dict[str, Any]:
    return {
        "model": model,
        "settings": settings,
        "seconds": round(seconds, 1),
        **report.to_json(),
    }


def _write_per_user(path: Path, report: Report) -> None:
    """Write per-user metrics, for paired comparisons of models."""
    columns = {"user": report.users, **report.per_user}
    with atomic_write(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
