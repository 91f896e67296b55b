"""prepare: input files → checked, numbered, split data on disk, in bounded memory."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from cllm4rec import progress
from cllm4rec.config import DataConfig
from cllm4rec.data import checks
from cllm4rec.data.database import one_number, open_database
from cllm4rec.data.excluded import COUNT, write_excluded
from cllm4rec.data.features import Features, load_with_features
from cllm4rec.data.finding import STEMS, find_file, find_log, is_log, note_beside, note_unread
from cllm4rec.data.input_file import InputFile
from cllm4rec.data.left_out import write_left_out
from cllm4rec.data.log import load_log
from cllm4rec.data.numbering import make_codes, make_pairs, number_entities
from cllm4rec.data.reading import open_file
from cllm4rec.data.split import (
    PROTOCOLS,
    newest_are_held_out,
    order_ties_by_part,
    split_by_protocol,
    users_of_a_drawn_newest,
)
from cllm4rec.data.texts import ATTRIBUTES
from cllm4rec.data.without_row import (
    note_doubled_items,
    note_doubled_users,
    report_unmatched_items,
    report_unmatched_users,
)
from cllm4rec.data.writing import write_entities, write_interactions, write_reviews
from cllm4rec.errors import InputError
from cllm4rec.run import atomic_folder, make_folder, write_json

SETTINGS = "settings.json"
"""How the files were read: the settings of ``[data]``."""
_HOMES = {"title": ("items",), "text": ("items", "reviews"), "part": ("split",)}
"""Standard column that the log does not have → files that may."""
MANY_KEPT = 0.8
"""Fraction of the positive pairs; where users below the minimum leave fewer, a note says so."""


def prepare(
    source: Path,
    target: Path,
    *,
    split: Path | None,
    protocol: str,
    config: DataConfig,
    seed: int,
) -> dict[str, Any]:
    """Read a log or an input directory, check it, split it, write it.

    Args:
        source: a file of interactions; or a folder of ``interactions.*``, one file or several, and
            optional ``items.*, users.*, reviews.*``.
        target: folder to write, replaced as a whole and only at success.
        split: a split file; authoritative where given.
        protocol: otherwise, how to split: one of :data:`cllm4rec.data.split.PROTOCOLS`.
        config: column names, thresholds, memory.
        seed: of the protocol's random draws.

    Returns:
        The report, also written to ``report.json``: rows read, whether a timestamp or a position
        orders them, rows refused by file and reason, what the thresholds left out, what was kept,
        how many kept items have no row in ``items.*`` and how many users of ``users.*`` are not in
        the log, if there are such files. Every row of the log is in it once, and so is every user;
        ``pairs_excluded`` counts some of what was left out again.

    Raises:
        InputError: a file or a column is missing or cannot be read, or nothing is left.
    """
    refuse_input(source, target)
    if target.exists() and not (target / "report.json").is_file() and any(target.iterdir()):
        raise InputError(f"{target} holds what is no prepared data; choose another folder")
    if split is None and protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
    make_folder(target.parent)
    work = target.parent / f".{target.name}.work-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    make_folder(work)
    try:
        with (
            open_database(work, config.memory_limit) as connection,
            progress.task("Preparing the data", total=5, unit="step") as task,
        ):
            log, files = _open_files(connection, source, split, config)
            report: dict[str, Any] = {
                "split": "file" if split else protocol,
                "seed": seed,
                "refused": {},
                "refused_columns": {},
            }
            load_log(connection, log, config, report)
            task.advance()
            if files["split"] is not None:
                _split_by_file(connection, files["split"], report)
            else:
                _split_by_protocol(connection, protocol, config, seed, report)
            report["newest_held_out"] = newest = report["ordered"] and newest_are_held_out(
                connection
            )
            if newest and split is not None:
                order_ties_by_part(connection)
            task.advance()
            features = _load_entities(connection, files, report)
            number_entities(connection, all_items=config.catalogue == "all")
            items = files["items"]
            if items is None or not report_unmatched_items(connection, items, report):
                note_doubled_items(connection)
            users = files["users"]
            if users is None or not report_unmatched_users(connection, users, report):
                note_doubled_users(connection)
            task.advance()
            report["refused"]["reviews"] = checks.load_reviews(connection, files["reviews"])
            task.advance()
            with atomic_folder(target) as folder:
                _write(connection, folder, features, report)
                # How much memory DuckDB may use changes nothing.
                write_json(folder / SETTINGS, config.model_dump(exclude={"memory_limit"}))
            task.advance()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return report


def refuse_input(source: Path, target: Path) -> None:
    """Refuse to replace the folder that is read.

    Raises:
        InputError: ``source`` is ``target``, or lies in it.
    """
    if target.resolve() in {source.resolve(), *source.resolve().parents}:
        raise InputError(f"{target} would replace the input in {source}; choose another folder")


def _open_files(
    connection: duckdb.DuckDBPyConnection, source: Path, split: Path | None, config: DataConfig
) -> tuple[list[InputFile], dict[str, InputFile | None]]:
    found = find_log(source)
    paths: dict[str, Path | None] = {**dict.fromkeys(STEMS), "split": split}
    if is_log(source):
        note_beside(source)
    else:
        paths |= {stem: find_file(source, stem) for stem in STEMS}
        note_unread(source, found, paths.values())
    log = [open_file(connection, path, config) for path in found]
    files = {
        stem: None if path is None else open_file(connection, path, config)
        for stem, path in paths.items()
    }
    opened = [*log, *filter(None, files.values())]
    present = {column: None for file in opened for column in file.types}
    mapping = dict(config.columns)
    for standard, mapped in config.columns.items():
        # One mapping serves several folders, and not all of them have items.
        if standard in _HOMES and not any(files[stem] for stem in _HOMES[standard]):
            if standard != "part":
                homes = " or ".join(f"{stem}.*" for stem in _HOMES[standard])
                progress.note(
                    f"data.columns.{standard} = {mapped!r} is not used: a {standard} is read from "
                    f"{homes}, and there is none; write one, with the column item_id"
                )
            continue
        alike = [column for column in present if column.lower() == mapped.lower()]
        if not alike:
            raise InputError(
                f"data.columns.{standard} = {mapped!r}, but no file in {source} has such a column; "
                f"there are {', '.join(sorted(present))}"
            )
        # Before a column of the standard name, if no file has the very name.
        mapping[standard] = mapped if mapped in alike else alike[0]
    mapped_log = [replace(file, mapping=mapping) for file in log]
    return mapped_log, {
        stem: None if file is None else replace(file, mapping=mapping)
        for stem, file in files.items()
    }


def _split_by_file(
    connection: duckdb.DuckDBPyConnection, file: InputFile, report: dict[str, Any]
) -> None:
    """``parted`` is what the file says, whatever the ratings."""
    make_codes(connection, seed=0)
    _note_repeats(report, make_pairs(connection))
    report["not_positive"] = 0
    report["refused"]["split"] = refused = checks.load_split(connection, file)
    connection.execute("""
        CREATE TABLE parted AS
        SELECT pairs.*, split_rows.part AS part FROM pairs JOIN split_rows
        ON split_rows.user_code = pairs.user_code AND split_rows.item_code = pairs.item_code
           AND split_rows.reason IS NULL
    """)
    kept = _count(connection, "parted")
    report["not_in_split"] = _count(connection, "pairs") - kept
    report["users_not_in_split"] = _count(connection, "user_codes") - _count_users(
        connection, "parted"
    )
    if _count(connection, "parted WHERE part = 0") == 0:
        why = _listed(refused) or f"{kept} rows of other parts"
        raise InputError(
            f"{file.path} leaves no train row ({why}); its ids must be those of the log"
        )


def _split_by_protocol(
    connection: duckdb.DuckDBPyConnection,
    protocol: str,
    config: DataConfig,
    seed: int,
    report: dict[str, Any],
) -> None:
    make_codes(connection, seed)
    _note_repeats(report, make_pairs(connection))
    # Pairs first: of what was rated again the newest opinion counts.
    report["not_positive"] = _count(connection, "pairs WHERE NOT positive")
    connection.execute(f"""
        CREATE TABLE eligible AS SELECT * FROM pairs WHERE positive AND user_code IN
        (SELECT user_code FROM pairs WHERE positive GROUP BY user_code
         HAVING count(*) >= {config.minimum_interactions})
    """)
    users, pairs = _count(connection, "user_codes"), _count(connection, "pairs WHERE positive")
    eligible_users, eligible = _count_users(connection, "eligible"), _count(connection, "eligible")
    report["users_below_minimum"] = users - eligible_users
    report["pairs_below_minimum"] = pairs - eligible
    if 0 < eligible < MANY_KEPT * pairs:
        progress.note(
            f"{users - eligible_users:,} of {users:,} users have fewer than "
            f"data.minimum_interactions = {config.minimum_interactions} positives: their "
            f"{pairs - eligible:,} of {pairs:,} are not trained on, nor are items known that only "
            f"they had; another: --set data.minimum_interactions=NUMBER; in Python "
            f'config={{"minimum_interactions": NUMBER}}'
        )
    if eligible == 0:
        refused = report["refused"]["interactions"]
        low = report["not_positive"]
        unusable = f"{sum(refused.values())} rows are refused ({_listed(refused)}), "
        rated = f"{low} rows are not above data.minimum_rating = {config.minimum_rating:g} and "
        raise InputError(
            f"no user is left: {unusable if refused else ''}{rated if low else ''}{users} users "
            f"have fewer than data.minimum_interactions = {config.minimum_interactions}; "
            f"{'mend the rows or ' if refused else ''}lower {'one' if low else 'that'} with --set"
        )
    split_by_protocol(connection, protocol)
    if protocol == "leave-last-out":
        report["newest_drawn"] = drawn = users_of_a_drawn_newest(connection)
        if drawn * 10 >= eligible_users:
            progress.note(
                f"{drawn:,} of {eligible_users:,} users have several newest items of one time; "
                f"which is held out was drawn. A column position would say their order"
            )
    report["users_without_training"] = eligible_users - _count_users(connection, "parted")
    report["pairs_without_training"] = eligible - _count(connection, "parted")


def _note_repeats(report: dict[str, Any], repeats: int) -> None:
    if repeats:
        report["refused"]["interactions"][checks.REPEATED_PAIR] = repeats


def _load_entities(
    connection: duckdb.DuckDBPyConnection,
    files: dict[str, InputFile | None],
    report: dict[str, Any],
) -> dict[str, Features]:
    features = {
        "items": load_with_features(
            connection, files["items"], "item_rows", "item_id", ("title", "text"), attributes=True
        ),
        "users": load_with_features(connection, files["users"], "user_rows", "user_id"),
    }
    if (items := files["items"]) is not None:
        _note_untitled(items)
    for stem, outcome in features.items():
        report["refused"][stem] = outcome.refused_rows
        report["refused_columns"][stem] = outcome.refused_columns
    return features


def _note_untitled(items: InputFile) -> None:
    """Titles under another name would be a feature like any other, and no list would show them."""
    others = [column for column in items.unread(("item_id",)) if not items.is_index(column)]
    if others and not (items.has("title") or items.has("text")):
        texts = ("title", "text")
        progress.note(
            f"items have no title and no text; other columns: {', '.join(others)}; if one is, "
            + " or ".join(f"--set data.columns.{text}=NAME" for text in texts)
            + '; in Python config={"columns": {'
            + ", ".join(f'"{text}": NAME' for text in texts)
            + "}}"
        )


def _write(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    features: dict[str, Features],
    report: dict[str, Any],
) -> None:
    texts = {"title": "title", "text": "text"}
    for kind, columns in (("user", {}), ("item", texts)):
        write_entities(
            connection,
            folder / f"{kind}s.parquet",
            numbered=f"{kind}s",
            rows=f"{kind}_rows",
            key=f"{kind}_id",
            columns={**columns, **features[f"{kind}s"].columns},
        )
    write_entities(
        connection,
        folder / ATTRIBUTES,
        numbered="items",
        rows="item_rows",
        key="item_id",
        columns=features["items"].attributes,
    )
    write_reviews(connection, folder / "reviews.parquet")
    parts = write_interactions(connection, folder)
    report[COUNT] = write_excluded(connection, folder)
    report["users_left_out"] = write_left_out(connection, folder)
    report["kept"] = {
        "users": _count(connection, "users"),
        "items": _count(connection, "items"),
        "interactions": sum(parts.values()),
        **parts,
        "reviews": _count(connection, "reviews WHERE reason IS NULL"),
    }
    write_json(folder / "report.json", report)


def _listed(refused: dict[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in refused.items())


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    return one_number(connection, f"SELECT count(*) FROM {rows}")


def _count_users(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return one_number(connection, f"SELECT count(DISTINCT user_code) FROM {table}")
