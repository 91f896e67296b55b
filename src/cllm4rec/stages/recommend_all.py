"""recommend --all: lists for everyone in shards; bounded memory, resumable, multi-process."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from cllm4rec import progress
from cllm4rec.data.left_out import users_left_out
from cllm4rec.data.partitions import sha256_input
from cllm4rec.ranking import RankedItems, list_length, refuse_folder
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.catalogue import Filters
from cllm4rec.recommender.lists import Counts, fill_lists
from cllm4rec.recommender.requests import NO_FILTERS, ListRequest
from cllm4rec.recommender.resolving import filter_notes
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.shards import Shard, ShardFolder, ids_of, usable
from cllm4rec.run import RunDir, place_among_processes

SCRATCH = ".histories-"
"""Prefix of the folders of sorted histories."""
SHARD_USERS = 10_000
"""Users per shard: the most that a killed process loses."""


def recommend_all(
    run: RunDir,
    *,
    out: Path,
    k: int = 10,
    histories: Path | None = None,
    shard_users: int = SHARD_USERS,
    filters: Filters = NO_FILTERS,
) -> dict[str, Any]:
    """Lists for every user of a run, or of a file of histories, as a folder of shards.

    Only one shard's lists and one block of scores are in memory. A second call resumes the first.
    Under ``torchrun`` each process scores every ``WORLD_SIZE``-th shard; processes share only the
    folder.

    Args:
        run: a finetuned run, or a folder written by ``CLLM4Rec.save``.
        out: folder of the shards; see `cllm4rec.recommender.shards`.
        k: length of each list; at most the catalogue's size.
        histories: of users not in the run: ``user_id``, ``item_id`` and, for an order other than
            the file's, ``timestamp`` or ``position``, under these names or those of the run's data;
            Parquet, CSV or JSON lines, or a folder of Parquet partitions.
        shard_users: users per shard.
        filters: on the items listed.

    Returns:
        Total ``users`` and ``shards``; ``scored_users``, ``seconds``, ``users_per_s`` and
        ``tokens_per_s`` (without padding) of this call; ``finished``: whether all shards exist;
        ``left_out``: rows of the histories, and ``users_left_out``: users of the run's data who get
        no list, both by reason.

    Raises:
        RunError: the run is not trained.
        UnknownId: no item of ``include`` is known.
        InputError: the folder is inside a run or has lists of another model, k, filters or shard
            size, the histories are unusable, or a filter names an unknown column.
    """
    run.require_trained()
    refuse_folder(out)
    rank, world_size = place_among_processes()
    with progress.quiet() if rank else nullcontext():
        recommender = Recommender.load(run.path)
        k = list_length(k, len(recommender.dataset.items))
        allowed = recommender.catalogue.allowed(filters)
        for note in filter_notes(recommender.catalogue, filters, allowed):
            progress.note(note)
        with audience_of(recommender, histories, out) as audience:
            folder = ShardFolder(
                out,
                recommender.version.fingerprint,
                None if histories is None else sha256_input(histories),
                k,
                shard_users,
                len(audience),
                filters.record(),
            )
            folder.open()
            open_shards = _open_shards(folder, rank, world_size)
            request = audience.request(k, allowed=allowed, seen=filters.seen)
            scored, seconds = _score(recommender, audience, request, folder, open_shards)
    finished = folder.finish()
    if finished:  # leftovers of killed processes
        for scratch in out.glob(f"{SCRATCH}*"):
            shutil.rmtree(scratch, ignore_errors=True)
    return {
        "users": len(audience),
        "k": k,
        "shards": len(folder.shards),
        "scored_shards": len(open_shards),
        "scored_users": scored.users,
        "seconds": round(seconds, 2),
        "users_per_s": round(scored.users / seconds, 1),
        "tokens_per_s": round(scored.tokens / seconds, 1),
        "left_out": audience.left_out,
        "users_left_out": {} if histories else users_left_out(recommender.dataset.report()),
        "process": f"{rank} of {world_size}",
        "finished": finished,
        "out": str(out),
    }


@contextmanager
def audience_of(recommender: Recommender, histories: Path | None, out: Path) -> Iterator[Audience]:
    """The users of the run or of a file; sorted histories are stored in ``out`` meanwhile."""
    if histories is None:
        yield Audience.of_run(recommender.dataset)
        return
    usable(out)
    # A separate folder per process, since another one may be sorting the same file.
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=out))
    config = recommender.config.data
    try:
        with progress.task("Sorting histories"):
            audience = Audience.of_file(histories, recommender.dataset, scratch, config)
        yield audience
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):
            out.rmdir()  # empty if the file was unusable


def score_shard(
    recommender: Recommender,
    audience: Audience,
    request: ListRequest,
    folder: ShardFolder,
    shard: Shard,
) -> Iterator[Counts]:
    """Score and write one shard of a request for the audience; yields the counts of each batch."""
    part = request.part(shard.start, shard.end)
    found = RankedItems.empty(part.users, part.k)
    yield from fill_lists(recommender.scorer, part, found)
    folder.write(shard, ids_of(audience.ids, shard), found, recommender.dataset.items)


def _open_shards(folder: ShardFolder, rank: int, world_size: int) -> list[Shard]:
    """This process's unfinished shards; finished ones are verified."""
    own = folder.own(rank, world_size)
    missing = []
    with progress.task("Verifying", total=len(own), unit="shard") as task:
        for shard in own:
            if not folder.is_done(shard):
                missing.append(shard)
            task.advance()
    return missing


def _score(
    recommender: Recommender,
    audience: Audience,
    request: ListRequest,
    folder: ShardFolder,
    shards: list[Shard],
) -> tuple[Counts, float]:
    """Score the shards; return counts and seconds."""
    users = tokens = 0
    total = sum(shard.end - shard.start for shard in shards)
    started_at_s = time.perf_counter()
    with progress.task("Scoring", total=total, unit="user") as task:
        for shard in shards:
            for counts in score_shard(recommender, audience, request, folder, shard):
                users, tokens = users + counts.users, tokens + counts.tokens
                seconds = time.perf_counter() - started_at_s
                speeds = {"users/s": users / seconds, "tokens/s": tokens / seconds}
                task.advance(counts.users, **speeds)
    return Counts(users, tokens), time.perf_counter() - started_at_s
