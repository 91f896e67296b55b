"""A file of further items, read as ``items.*`` is."""

import tempfile
from collections.abc import Collection
from pathlib import Path

from cllm4rec.config import DataConfig
from cllm4rec.data.checks import load_entities
from cllm4rec.data.database import open_database
from cllm4rec.data.input_file import words
from cllm4rec.data.item_rows import ItemRows
from cllm4rec.data.reading import open_file
from cllm4rec.errors import InputError

NO_ID, REPEATED = "no item_id", "repeated item_id"


def read_further_items(
    path: Path, config: DataConfig, features: Collection[str], attributes: Collection[str]
) -> tuple[ItemRows, dict[str, list[str]], list[str]]:
    """Items of a file, by id.

    Args:
        path: Parquet, CSV or JSON lines with ``item_id, title, text`` and further columns.
        config: how the run's own files were read.
        features: further columns that count as features in the run.
        attributes: those that items are filtered by.

    Returns:
        The usable rows; the ids of refused ones (empty where there is none), by reason; columns
        that are not read.

    Raises:
        InputError: the file cannot be read as such, or has no row.
    """
    with (
        tempfile.TemporaryDirectory(prefix="cllm4rec-items-") as work,
        open_database(Path(work), config.memory_limit) as connection,
    ):
        file = open_file(connection, path, config, settable=False)
        file.require("item_id")
        said = " || ".join(["''", *(words(file.text(text)) for text in ("title", "text"))])
        own = {
            name: column
            for name in dict.fromkeys([*features, *attributes])
            if (column := file.in_any_capitals(name)) and not file.is_nested(column)
        }
        found = {"title": file.text("title"), "text": file.text("text")}
        kept: list[tuple[str, str]] = []
        for at, name in enumerate(name for name in features if name in own):
            found[f"feature_{at}"] = file.feature(own[name], f"({said})", marked_up=True)
            kept.append(("feature", name))
        for at, name in enumerate(name for name in attributes if name in own):
            found[f"attribute_{at}"] = file.attribute(own[name])
            kept.append(("attribute", name))
        load_entities(connection, file, "item_rows", "item_id", found)
        unread = [
            name
            for name in file.unread(("item_id", "title", "text"))
            if name not in own.values() and not file.is_index(name)
        ]
        columns = ", ".join(found)
        rows = connection.execute(
            f"SELECT item_id, reason, {columns} FROM item_rows ORDER BY row"
        ).fetchall()
    if not rows:
        raise InputError(f"{path} has no row; give item_id and title or text for each item")
    refused: dict[str, list[str]] = {}
    for item_id, reason, *_ in rows:
        if reason is not None:
            refused.setdefault(reason, []).append(item_id or "")
    usable = sorted((row for row in rows if row[1] is None), key=lambda row: str(row[0]))
    by_column = list(map(list, zip(*usable, strict=True))) or [[] for _ in range(2 + len(found))]
    ids, _, titles, texts, *values = by_column
    of_kind = {
        kind: {name: each for (k, name), each in zip(kept, values, strict=True) if k == kind}
        for kind in ("feature", "attribute")
    }
    read = ItemRows(ids, titles, texts, of_kind["feature"], of_kind["attribute"])
    return read, refused, unread
