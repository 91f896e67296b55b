"""One cell in a process of its own, so that its peak memory is its own and its death no other's."""

import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cllm4rec.baselines import Context
from cllm4rec.baselines.tuning import tune
from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.merged import with_held_out
from cllm4rec.errors import CLLM4RecError
from cllm4rec.evaluation.protocol import DEPTH, evaluated_users
from cllm4rec.evaluation.selection import Selection
from cllm4rec.experiments.cells import Cell, begin, claimed
from cllm4rec.ranking import rank_all
from cllm4rec.run import RunDir, make_folder, write_json
from cllm4rec.seeds import derived_seed


class Outcome(NamedTuple):
    """How computing a cell ended; ``reason`` is one line, empty where it is done."""

    state: Literal["done", "failed", "left out"]
    reason: str = ""


def compute_in_subprocess(cell: Cell) -> Outcome:
    """Compute a cell in a new process and wait for it.

    Returns:
        ``done``; ``left out``, where a baseline cannot be had for these data; or ``failed``.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(cell, sending), daemon=True)
    process.start()
    sending.close()
    try:
        outcome = Outcome(*json.loads(receiving.recv_bytes()))
    except EOFError:
        process.join()
        outcome = Outcome("failed", _death(process.exitcode or 0))
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
        receiving.close()
    return outcome


def compute(cell: Cell) -> Outcome:
    """Compute a cell here and leave its files, ``cell.json`` last."""
    dataset = Dataset.open(cell.data)
    num_items = len(dataset.items)
    if cell.config is None:
        seed = derived_seed(cell.seed, "baselines")
        selection = Selection.of(dataset, cell.selection, seed)
        context = Context.of(dataset, seed, selection)
        if reason := cell.baseline.unavailable(context):
            shutil.rmtree(cell.folder, ignore_errors=True)
            return Outcome("left out", " ".join(reason.split()))
        lists = partial(_baseline, cell, dataset, selection, context)
    else:
        lists = partial(_model, cell, cell.config, dataset)
    made_of = cell.made_of(num_items)  # before it is read: whoever replaces it meanwhile is seen
    resumed = begin(cell, made_of)
    result = lists()
    write_json(
        cell.folder / "cell.json",
        {
            **made_of,
            "settings": cell.settings(num_items),
            **result,
            "resumed": resumed,
            "peak_mb": round(peak_mb(), 1),
        },
    )
    shutil.rmtree(cell.folder / "data", ignore_errors=True)
    if not cell.keep_run:
        shutil.rmtree(cell.folder / "run", ignore_errors=True)
    return Outcome("done")


def peak_mb() -> float:
    """Most resident memory of this process so far, in MB (10⁶ bytes).

    Linux's ``ru_maxrss`` begins at what the parent had when it started this process; ``VmHWM``
    begins at nothing.
    """
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M) if status.exists() else None
    if found is not None:
        return int(found[1]) * 1024 / 1e6
    # The unit of ru_maxrss is bytes on macOS, kilobytes elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _baseline(
    cell: Cell, dataset: Dataset, selection: Selection, context: Context
) -> dict[str, Any]:
    started_at_s = time.perf_counter()
    if cell.chosen is None:
        tuned = tune(cell.baseline, dataset.part("train"), selection, context)
        scorer, chosen = tuned.scorer, cell.baseline.chosen(tuned.settings, tuned.scorer)
    else:
        merged = with_held_out(dataset, keep_test=True)  # what the models' rows are trained on
        scorer = cell.baseline.refitted(cell.chosen, merged.part("train"), context)
        chosen = dict(cell.chosen)
    seconds = time.perf_counter() - started_at_s
    users, known = evaluated_users(dataset, "test"), dataset.known("test")
    ranked = rank_all(scorer, users, known, DEPTH)
    ranked.write(cell.folder / "topk.parquet", dataset.users, dataset.items)
    return {
        "seconds": round(seconds, 3),
        "chosen": chosen,
        "lists": {"": "topk.parquet"},
    }


def _model(cell: Cell, config: Config, dataset: Dataset) -> dict[str, Any]:
    # Torch is loaded here and not above: a baseline's peak memory is without it.
    from cllm4rec.models.language_model import LanguageModel
    from cllm4rec.recommender.saved import Recommender
    from cllm4rec.stages.evaluate import model_rankings
    from cllm4rec.stages.prepare import import_dataset
    from cllm4rec.stages.train import train

    if cell.chosen is not None:
        from cllm4rec.stages.chosen import Chosen
        from cllm4rec.stages.refit import merge

        make_folder(cell.folder / "data")
        chosen = Chosen.of_record(cell.chosen)
        dataset = merge(dataset.folder, cell.folder / "data", chosen, keep_test=True)
    run = RunDir(cell.folder / "run").create()
    complete = import_dataset(run, dataset, config, replace=True)
    lm = LanguageModel.load(complete)
    trained = train(run, complete, lm)
    lists = {}
    for name, _weight, ranked in model_rankings(Recommender.load(run.path, lm=lm), dataset):
        lists[name] = f"topk{name and '-'}{name.replace(' ', '-')}.parquet"
        ranked.write(cell.folder / lists[name], dataset.users, dataset.items)
    for name in ("config.toml", "metrics.jsonl"):
        if run.file(name).is_file():  # no epoch, no log
            shutil.copy(run.file(name), cell.folder / name)
    return {
        "seconds": round(sum(stage["seconds"] for stage in trained.values()), 3),
        "chosen": {
            "best_epoch": trained["finetune"]["best_epoch"],
            "blend": trained["finetune"]["blend"],
            "blend_by_length": trained["finetune"].get("blend_by_length"),
            "linear": trained["finetune"]["linear"] is not None,
            "linear_model": trained["finetune"]["linear"],
            "start": trained["initialise"]["start"],
        },
        "lists": lists,
    }


def _child(cell: Cell, sending: Connection) -> None:
    """The process: nothing of it on standard output, and its end with its parent's."""
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process
    with _ending_with_parent():
        try:
            with claimed(cell) as mine:
                outcome = (
                    compute(cell) if mine else Outcome("failed", "another process computes it")
                )
        except CLLM4RecError as error:
            outcome = Outcome("failed", " ".join(str(error).split()))
        except Exception as error:
            traceback.print_exc()
            outcome = Outcome("failed", " ".join(f"{type(error).__name__}: {error}".split()))
        sending.send_bytes(json.dumps(outcome).encode())


@contextmanager
def _ending_with_parent() -> Iterator[None]:
    """A bench that was killed must not go on in the background, beside the one that resumes it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    until, done = multiprocessing.Pipe(duplex=False)

    def watch() -> None:
        if parent.sentinel in wait([parent.sentinel, until]):
            os._exit(1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.close()
        thread.join()


def _death(exitcode: int) -> str:
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        memory = "; perhaps the memory was used up" if -exitcode == signal.SIGKILL else ""
        return f"its process was ended by {name}{memory}"
    return f"its process ended with exit code {exitcode} and said nothing"
