"""``recommend`` and ``similar``: lists for people, and items near another."""

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from cllm4rec.cli import options
from cllm4rec.cli.options import run_option, type_of_path
from cllm4rec.cli.output import output_option
from cllm4rec.data.topk_files import names_one_file
from cllm4rec.errors import InputError
from cllm4rec.run import RunDir


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--where``, ``--include``, ``--exclude`` and ``--seen``."""
    for option in (
        click.option("--seen", is_flag=True, help="List what a user has had, too."),
        click.option(
            "--exclude", type=type_of_path, metavar="FILE", help="Not these items; one id per line."
        ),
        click.option(
            "--include",
            type=type_of_path,
            metavar="FILE",
            help="Only these items; one id per line.",
        ),
        click.option(
            "--where",
            multiple=True,
            metavar="CONDITION",
            help="Only items that meet it, such as genres=Comedy, 'year>=1990' or 'price!=5', on a "
            "column of items.*; may be repeated, and all count.",
        ),
    ):
        command = option(command)
    return command


def filters_given(
    where: Sequence[str], include: Path | None, exclude: Path | None, seen: bool
) -> Any:
    """The filters that the options ask for.

    Raises:
        InputError: a condition is none, or a file of ids cannot be read.
    """
    from cllm4rec.recommender.catalogue import Filters
    from cllm4rec.recommender.conditions import conditions

    conditions(where)  # what is none is refused now
    return Filters(ids_in(include), ids_in(exclude), tuple(where) or None, seen)


def profile_given(pairs: Sequence[str]) -> dict[str, str] | None:
    """The properties that ``--profile`` names: ``age=34,occupation=artist``."""
    found: dict[str, str] = {}
    for pair in (each for given in pairs for each in given.split(",")):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            raise click.UsageError(f"--profile {pair!r} is not KEY=VALUE, such as age=34")
        if name in found:
            raise click.UsageError(f"--profile {name} is given twice")
        found[name] = value
    return found or None


def _one_argument(words: Sequence[str]) -> str:
    """Properties that blanks divided, as a shell takes them in one; a word without = goes on."""
    parts = [("," if "=" in each else " ") + each.strip(",") for each in words]
    return shlex.quote("".join(parts).lstrip(", "))


def ids_in(file: Path | None) -> list[str] | None:
    """The ids in a file, one per line, in quotes or not, as CSV has them; blank lines aside."""
    if file is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise InputError(f"cannot read ids from {file}: {reason}; one id per line") from None
    ids = [_unquoted(line.removesuffix("\r")) for line in lines]
    return [each for each in ids if each.strip()]


def _unquoted(line: str) -> str:
    """Blanks around quotes are no part of an id; without quotes they are, as in CSV."""
    quoted = re.fullmatch(r'\s*"((?:[^"]|"")*)"\s*', line)
    return line if quoted is None else quoted[1].replace('""', '"')


_OTHER_FORMATS = {".tsv", ".json", ".jsonl", ".gz", ".txt", ".xls", ".xlsx", ".html", ".zip"}
"""Endings of ``--out`` that ask for what is not written, and would name a folder of shards."""


@click.command()
@run_option
@click.option("--all", "everyone", is_flag=True, help="For every user of the run.")
@click.option("--users", is_flag=True, help="For the users whose IDS follow.")
@click.option("--history", is_flag=True, help="For someone who had the items whose IDS follow.")
@click.option(
    "--histories",
    type=type_of_path,
    metavar="FILE",
    help="For everyone in this file (Parquet, CSV, JSON lines): user_id, item_id and, if there is "
    "one, timestamp or position; or what they are called in the run's data.",
)
@click.option(
    "--query",
    metavar="TEXT",
    help="What is asked for, in words; alone, or with --users, --history or --profile.",
)
@click.option(
    "--query-weight",
    type=float,
    metavar="W",
    help="Of the words beside taste or popularity; 100: the words alone. [0.25]",
)
@click.option(
    "--profile",
    multiple=True,
    metavar="KEY=VALUE,…",
    help="For someone of whom only properties are known, columns of users.*; may be repeated.",
)
@click.argument("ids", nargs=-1)
@click.option(
    "--k", type=click.IntRange(min=1), default=10, metavar="N", help="How many items. [10]"
)
@click.option(
    "--out",
    type=type_of_path,
    metavar="PATH",
    help="Lists to write: FILE.parquet or FILE.csv of --users or --all; a folder of shards of "
    "--all or --histories.",
)
@click.option(
    "--shard-users",
    type=click.IntRange(min=1),
    default=10_000,
    metavar="N",
    help="Users of one shard of the folder. [10000]",
)
@click.option(
    "--ray",
    type=click.IntRange(min=1),
    metavar="WORKERS",
    help="With --all: score on so many actors of Ray Data (the extra ray).",
)
@filter_options
@output_option
def recommend(
    run: RunDir,
    everyone: bool,
    users: bool,
    history: bool,
    histories: Path | None,
    query: str | None,
    query_weight: float | None,
    profile: tuple[str, ...],
    ids: tuple[str, ...],
    k: int,
    out: Path | None,
    shard_users: int,
    ray: int | None,
    **filters: Any,
) -> dict[str, Any]:
    """Recommend for users, from a bare history, by words or by properties.

    A folder of shards is for any number of users: memory stays bounded, a killed call goes on when
    it is repeated, and under torchrun the shards are divided among the processes.

    \b
    Examples:
        cllm4rec recommend --run RUN --all --k 100 --out topk.parquet
        cllm4rec recommend --run RUN --all --k 100 --out lists.csv
        cllm4rec recommend --run RUN --all --k 100 --out FOLDER
        cllm4rec recommend --run RUN --all --k 100 --ray 8 --out FOLDER
        cllm4rec recommend --run RUN --histories new.parquet --out FOLDER
        cllm4rec recommend --run RUN --users 196 186
        cllm4rec recommend --run RUN --history 50 181 174
        cllm4rec recommend --run RUN --query "quiet films about families"
        cllm4rec recommend --run RUN --query "war at sea" --history 50 181
        cllm4rec recommend --run RUN --profile age=34,occupation=artist
        cllm4rec recommend --run RUN --users 196 --where genres=Comedy --exclude sold-out.txt
        cllm4rec recommend --run RUN --users 196 --where 'year>=1990' --where 'year<2000'
        cllm4rec recommend --run RUN --all --where genres=Comedy --out FOLDER

    An id that begins with a dash comes after a bare `--`.
    """  # noqa: D301
    many = everyone or histories is not None
    audiences = everyone + users + history + (histories is not None) + bool(profile)
    if audiences != 1 and not (query is not None and audiences == 0):
        raise click.UsageError(
            "give exactly one of --all, --users IDS, --history IDS, --histories FILE and "
            "--profile KEY=VALUE, or --query"
        )
    if many and query is not None:
        raise click.UsageError(
            f"{'--all' if everyone else '--histories'} takes no --query; "
            f"give --query alone, with --users IDS, --history IDS or --profile"
        )
    if query_weight is not None and query is None:
        raise click.UsageError("--query-weight is of --query, which is not given")
    if profile and any("=" in each for each in ids):
        raise click.UsageError(
            f"a profile is one argument; write --profile {_one_argument([*profile, *ids])}"
        )
    if (users or history) != bool(ids):
        raise click.UsageError(
            "--users and --history need IDS; --all, --histories and --profile take none, "
            "nor does --query alone"
        )
    if many and out is None:
        raise click.UsageError(f"{'--all' if everyone else '--histories'} needs --out PATH")
    if histories is not None and out is not None and names_one_file(out):
        raise click.UsageError("--histories writes a folder of shards; give --out FOLDER")
    if not (many or users) and out is not None:
        raise click.UsageError(
            "--out is for users; a bare --history, --profile or --query is printed"
        )
    if out is not None and out.suffix.lower() in _OTHER_FORMATS:
        raise click.UsageError(
            f"--out {out}: lists are written as Parquet or CSV; give FILE.parquet or FILE.csv"
        )
    if users and out is not None and not names_one_file(out):
        raise click.UsageError(f"--users writes one file, not {out}; give FILE.parquet or FILE.csv")
    if ray is not None and (not everyone or out is None or names_one_file(out)):
        raise click.UsageError("--ray is for --all, and writes a folder of shards: --out FOLDER")
    options.ready(run, histories)
    _refuse_at_sight(query, query_weight, out, folder=many or ray is not None)
    wanted = filters_given(**filters)
    from cllm4rec.recommender.at_sight import refuse_unknown

    refuse_unknown(run.path, ids if users else None, wanted.where)
    from cllm4rec.stages.recommend import recommend as stage
    from cllm4rec.stages.recommend_all import recommend_all

    if ray is not None and out is not None:
        from cllm4rec.stages.recommend_ray import recommend_on_ray

        sizes = {"k": k, "shard_users": shard_users}
        return recommend_on_ray(run, out=out, workers=ray, **sizes, filters=wanted)
    if many and out is not None and not names_one_file(out):
        return recommend_all(
            run, out=out, k=k, histories=histories, shard_users=shard_users, filters=wanted
        )
    given = list(ids)
    return stage(
        run,
        users=given if users else None,
        history=given if history else None,
        query=query,
        query_weight=query_weight,
        profile=profile_given(profile),
        k=k,
        out=out,
        filters=wanted,
    )


def _refuse_at_sight(
    query: str | None, weight: float | None, out: Path | None, *, folder: bool
) -> None:
    """What the stages refuse too, once the libraries are loaded."""
    if query is not None:
        from cllm4rec.recommender.queries import refuse_query

        refuse_query(query, weight)
    if out is not None:
        from cllm4rec.ranking import refuse_file, refuse_folder

        if folder and not names_one_file(out):
            refuse_folder(out)
        else:
            refuse_file(out)


@click.command()
@run_option
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
@click.option(
    "--k", type=click.IntRange(min=1), default=10, metavar="N", help="How many items. [10]"
)
@click.option(
    "--by",
    type=click.Choice(["model", "content", "collaboration", "both"]),
    default="model",
    help="Compare the model's embeddings, the texts, who had the items, or the latter two. [model]",
)
@output_option
def similar(run: RunDir, items: tuple[str, ...], k: int, by: Any) -> dict[str, Any]:
    """Items that are near others.

    Scores are cosines: of the items' embeddings, of their texts, or of who had them.

    \b
    Examples:
        cllm4rec similar --run RUN 50 181 --k 5
        cllm4rec similar --run RUN 50 --by content
    """  # noqa: D301
    options.ready(run)
    from cllm4rec.stages.similar import similar as stage

    return stage(run, list(items), k=k, by=by)
