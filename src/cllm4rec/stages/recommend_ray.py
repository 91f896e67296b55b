"""recommend --all on Ray Data: a pool of actors, each with the model, writes the folder's shards.

Source: Ray Data's actor pools (docs.ray.io, *map_batches* with a class). An actor that dies is
started again by Ray and its shard with it; shards that are done are checked and kept, so a call
that was killed as a whole goes on too. Actors, driver and later readers share the folder's path.
"""

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from cllm4rec import progress
from cllm4rec.data.left_out import users_left_out
from cllm4rec.errors import IntegrityError, RunError
from cllm4rec.ranking import list_length, refuse_folder
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.catalogue import Filters
from cllm4rec.recommender.requests import NO_FILTERS
from cllm4rec.recommender.resolving import filter_notes
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.shards import ShardFolder
from cllm4rec.run import RunDir
from cllm4rec.stages.recommend_all import SHARD_USERS, score_shard

OBJECT_STORE_BYTES = 100_000_000
"""Of a local Ray: nothing but shard numbers and counts passes through it."""


class ShardScorer:
    """An actor: loads the model once, then writes shards by number.

    Args:
        run: path of the run.
        folder: of the shards.
        filters: on the items listed.

    Raises:
        IntegrityError: the run has another model than the folder's lists.
    """

    def __init__(self, run: Path, folder: ShardFolder, filters: Filters) -> None:
        with progress.quiet():
            self.recommender = Recommender.load(run)
        if self.recommender.version.fingerprint != folder.model:  # an actor may start hours later
            raise IntegrityError(
                f"{run} has another model, or other added items, since the lists in {folder.path} "
                f"were begun; choose another --out, or remove that folder"
            )
        self.folder = folder
        self.audience = Audience.of_run(self.recommender.dataset)
        allowed = self.recommender.catalogue.allowed(filters)
        self.request = self.audience.request(folder.k, allowed=allowed, seen=filters.seen)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Write the shards of a batch of numbers; return the users of each."""
        users = []
        with progress.quiet():
            for number in batch["number"].tolist():
                shard = self.folder.shards[number]
                if not self.folder.is_done(shard):  # a task that is run again may find it written
                    arguments = self.recommender, self.audience, self.request, self.folder
                    for _ in score_shard(*arguments, shard):
                        pass
                users.append(shard.end - shard.start)
        return {"users": np.array(users)}


def recommend_on_ray(
    run: RunDir,
    *,
    out: Path,
    workers: int,
    k: int = 10,
    shard_users: int = SHARD_USERS,
    filters: Filters = NO_FILTERS,
) -> dict[str, Any]:
    """Lists for every user of a run as a folder of shards: the bytes of `recommend_all`.

    Args:
        run: a finetuned run.
        out: folder of the shards, on a file system that all actors see.
        workers: actors; each loads the model and has one processor, or one GPU where the run's
            device is one. They are on the cluster of ``RAY_ADDRESS``, else on this machine.
        k: length of each list.
        shard_users: users per shard.
        filters: on the items listed.

    Returns:
        ``users``, ``shards``, ``scored_shards`` of this call, ``workers``, ``users_left_out`` by
        reason, ``finished``.

    Raises:
        RunError: the run is not trained, Ray is not installed, or it gave up.
        InputError: the folder is of another request, or a filter names an unknown column.
    """
    run.require_trained()
    refuse_folder(out)
    ray = _ray()
    recommender = Recommender.load(run.path)
    catalogue = recommender.catalogue
    k = list_length(k, len(recommender.dataset.items))
    # A wrong filter is refused here, not in an actor.
    for note in filter_notes(catalogue, filters, catalogue.allowed(filters)):
        progress.note(note)
    fingerprint, users = recommender.version.fingerprint, len(recommender.dataset.users)
    place = out.resolve()
    folder = ShardFolder(place, fingerprint, None, k, shard_users, users, filters.record())
    folder.open()
    missing = [shard.number for shard in folder.shards if not folder.is_done(shard)]
    total = sum(folder.shards[number].end - folder.shards[number].start for number in missing)
    started_here = _connect(ray, workers)
    try:
        numbers = ray.data.from_items(
            [{"number": number} for number in missing], override_num_blocks=len(missing) or 1
        )
        written = numbers.map_batches(
            ShardScorer,
            fn_constructor_args=(run.path.resolve(), folder, filters),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=gpus_of(recommender),
        )
        with progress.task("Scoring on Ray", total=total, unit="user") as task:
            for row in written.iter_rows() if missing else ():
                task.advance(row["users"])
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1][:200]
        raise RunError(f"Ray gave up: {last}; the same command goes on with what is left") from None
    finally:
        if started_here:
            ray.shutdown()
    return {
        "users": users,
        "k": k,
        "shards": len(folder.shards),
        "scored_shards": len(missing),
        "workers": workers,
        "users_left_out": users_left_out(recommender.dataset.report()),
        "finished": folder.finish(),
        "out": str(out),
    }


def gpus_of(recommender: Recommender) -> int:
    """GPUs that an actor asks Ray for: one if the model, loaded here, is on one.

    Not by the setting: ``auto`` is a processor where there is no GPU, and asking Ray for one there
    would wait for ever.
    """
    return 1 if recommender.scorer.model.device.type == "cuda" else 0


def _ray() -> Any:
    """The library.

    Raises:
        RunError: it is not installed.
    """
    # Before it is imported: nothing is reported to anyone, unless the environment says so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        importlib.import_module("ray.data")
        return importlib.import_module("ray")
    except ImportError:
        raise RunError(
            "--ray needs Ray Data; in the checkout: pip install '.[ray]' -c constraints.txt"
        ) from None


def _connect(ray: Any, workers: int) -> bool:
    """Join the cluster of ``RAY_ADDRESS``, or start a local one; whether it was started here."""
    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if "RAY_ADDRESS" in os.environ:
        ray.init(**quiet)
    else:
        local = {"num_cpus": workers + 1, "object_store_memory": OBJECT_STORE_BYTES}
        ray.init(address="local", include_dashboard=False, **local, **quiet)
    ray.data.DataContext.get_current().enable_progress_bars = False
    return True
