"""The quality bench: computes what is missing, then writes the table of all that is there."""

import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from cllm4rec import progress
from cllm4rec.errors import CLLM4RecError, InputError
from cllm4rec.experiments.cells import Cell, cells_of, finished
from cllm4rec.experiments.data import PreparedData, prepare_data
from cllm4rec.experiments.hypotheses import adjust_within_hypotheses, outcomes_of
from cllm4rec.experiments.plan import Plan
from cllm4rec.experiments.process import compute_in_subprocess
from cllm4rec.experiments.table import adjust_for_data_sets, measure, rows_of
from cllm4rec.experiments.writing import slices_page, table_page
from cllm4rec.run import atomic_write, make_folder, write_json


def quality(
    plan: Plan,
    out: Path,
    *,
    only_datasets: Collection[str] = (),
    only_models: Collection[str] = (),
) -> dict[str, Any]:
    """Compute the plan's missing cells one after the other, and write the table of all finished.

    A cell that fails is noted and the others go on; a later call tries it again. A finished one is
    never computed twice, unless its settings or data changed, which is said.

    Args:
        plan: what to compare.
        out: folder of the cells, ``table.md``, ``table.json``, ``slices.md``, ``plot.png`` and
            ``plot.svg``.
        only_datasets: compute for these alone; empty: for all of the plan.
        only_models: compute these models and baselines alone; empty: all of the plan.

    Returns:
        What ``table.json`` holds: ``rows``, ``hypotheses`` (what came of the plan's), and lists of
        cells: ``failed`` and ``left_out`` with their reason, ``missing``.

    Raises:
        InputError: a name to filter by is not in the plan; no folder can be made at ``out``.
    """
    _known("data set", only_datasets, plan.datasets)
    _known("model or baseline", only_models, [*plan.models, *plan.baselines])
    make_folder(out, "--out")
    table: dict[str, Any] = {
        "seeds": plan.seeds,
        "bootstrap": plan.bootstrap,
        "rows": [],
        "hypotheses": [],
        "failed": [],
        "left_out": [],
        "missing": [],
    }
    prepared = _prepare(plan, out, only_datasets, table)
    cells = {data.name: cells_of(plan, data, out) for data in prepared}
    wanted = [
        (cell, len(data.dataset.items))
        for data in prepared
        for cell in cells[data.name]
        if (not only_datasets or data.name in only_datasets)
        and (not only_models or cell.model in only_models)
    ]
    ended = _compute(wanted, refit=plan.refit)
    order = [*plan.models, *plan.baselines]
    for data in prepared:
        done = []
        for cell in sorted(cells[data.name], key=lambda cell: order.index(cell.model)):
            for each, record in _records(cell, len(data.dataset.items), refit=plan.refit):
                if record is not None:
                    done.append((each, record))
                    continue
                state, reason = ended.get(each.folder, ("missing", ""))
                table[state].append(_entry(each.dataset, each.row, each.seed, reason))
        measured = measure(data, done)
        table["rows"] += rows_of(data, measured, plan.bootstrap)
        table["hypotheses"] += outcomes_of(plan.hypotheses, data.name, measured, plan.bootstrap)
    adjust_for_data_sets(table["rows"])
    adjust_within_hypotheses(table["hypotheses"])
    _write(table, out)
    return table


def _prepare(
    plan: Plan, out: Path, only_datasets: Collection[str], table: dict[str, Any]
) -> list[PreparedData]:
    """The data that can be had; what cannot is noted in the table."""
    prepared = []
    for name in plan.datasets:
        if only_datasets and name not in only_datasets and not (out / "data" / name).is_dir():
            table["missing"].append(_entry(name, None, None))
            continue
        try:
            prepared.append(prepare_data(plan, name, out))
        except CLLM4RecError as error:
            reason = " ".join(str(error).split())
            progress.note(f"{name}: failed: {reason}")
            table["failed"].append(_entry(name, None, None, reason))
    return prepared


def _compute(cells: list[tuple[Cell, int]], *, refit: bool) -> dict[Path, tuple[str, str]]:
    """Compute what is not finished; folder of each cell that did not → how it ended, and why.

    Args:
        cells: each with the size of its catalogue.
        refit: fit each once more.
    """
    ended: dict[Path, tuple[str, str]] = {}
    for number, (given, num_items) in enumerate(cells, start=1):
        for cell, record in _records(given, num_items, refit=refit, say=True):
            if record is not None:
                if not cell.keep_run:
                    shutil.rmtree(cell.folder / "run", ignore_errors=True)
                continue
            progress.note(f"cell {number} of {len(cells)}: {cell.label}")
            state, reason = compute_in_subprocess(cell)
            if state != "done":
                progress.note(f"{cell.label}: {state}: {reason}")
                ended[cell.folder] = (state.replace(" ", "_"), reason)
    return ended


def _records(
    cell: Cell, num_items: int, *, refit: bool, say: bool = False
) -> Iterator[tuple[Cell, dict[str, Any] | None]]:
    """A cell and its result, None if there is none; then that which is fitted as it chose.

    The second is looked for when the first has been dealt with, and there only is one then.
    """
    yield cell, finished(cell, num_items, say=say)
    record = finished(cell, num_items) if refit else None
    if record is not None:
        again = cell.refit(record)
        yield again, finished(again, num_items, say=say)


def _entry(dataset: str, model: str | None, seed: int | None, reason: str = "") -> dict[str, Any]:
    """A cell, or all cells of a data set, in the lists of what has no row."""
    entry = {"dataset": dataset, "model": model, "seed": seed}
    return {**entry, "reason": reason} if reason else entry


def _known(what: str, given: Collection[str], there_are: Collection[str]) -> None:
    for name in given:
        if name not in there_are:
            raise InputError(f"no {what} {name!r} in the plan; there are {', '.join(there_are)}")


def _write(table: Mapping[str, Any], out: Path) -> None:
    # Not above: the cells' processes import this module too, and matplotlib is no part of theirs.
    from cllm4rec.experiments.plot import draw

    write_json(out / "table.json", table)
    for name, page in (("table.md", table_page(table)), ("slices.md", slices_page(table))):
        with atomic_write(out / name) as temporary:
            temporary.write_text(page, encoding="utf-8")
    draw(table["rows"], out)
