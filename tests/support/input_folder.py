"""Input directories for tests, in each format."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = Sequence[Mapping[str, Any]]


def write_rows(folder: Path, stem: str, rows: Rows, ending: str = "parquet") -> Path:
    """Write one file of an input directory; a key that a row lacks is null."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.{ending}"
    columns = list(dict.fromkeys(key for row in rows for key in row))
    full = [{column: row.get(column) for column in columns} for row in rows]
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(full), path)
    elif ending == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(full)
    else:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in full)
        path.write_text("".join(lines), encoding="utf-8")
    return path


def small_log(users: int = 6, items: int = 8, each: int = 6) -> list[dict[str, Any]]:
    """``each`` interactions per user, in steps through the items; the users take turns."""
    return [
        {
            "user_id": f"u{user}",
            "item_id": f"i{(user + place) % items}",
            "timestamp": 1000 + users * place + user,
        }
        for user in range(users)
        for place in range(each)
    ]
