"""MovieLens-100K (Harper and Konstan, ACM TiiS 2015), as shipped inside the wheel of RecBole.

Not ours to pass on: whoever uses it takes it from the package index, under GroupLens' own terms.
"""

import csv
import re
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec.downloads import extract_member, fetch_wheel
from cllm4rec.run import atomic_write

WHEEL = "recbole==1.2.1"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
MEMBER = "recbole/dataset_example/ml-100k/ml-100k."

_ARTICLE_LAST = re.compile(r"(.+), (The|A|An|Les|Le|La|L'|Il|El|Das|Der|Die)")


def write_movielens_100k(folder: Path) -> None:
    """Write 100,000 ratings, 1,682 films and 943 users in the input format.

    ``interactions`` with rating and timestamp; ``items`` with title, year and genres; ``users``
    with age, gender and occupation (the postcode says where somebody lives and is left out).

    Args:
        folder: made where it is absent; existing files of the same names are replaced.

    Raises:
        InputError: the wheel cannot be had.
        IntegrityError: the wheel is not the one expected.
    """
    wheel = fetch_wheel(WHEEL, WHEEL_SHA256)
    with tempfile.TemporaryDirectory() as scratch:
        ratings, films, people = (
            _read(extract_member(wheel, MEMBER + ending, Path(scratch)))
            for ending in ("inter", "item", "user")
        )
    interactions = pa.table({
        "user_id": [row["user_id"] for row in ratings],
        "item_id": [row["item_id"] for row in ratings],
        "timestamp": pa.array((int(row["timestamp"]) for row in ratings), pa.int64()),
        "rating": pa.array((float(row["rating"]) for row in ratings), pa.float32()),
    })
    items = pa.table({
        "item_id": [row["item_id"] for row in films],
        "title": pa.array(map(_title, films), pa.string()),
        "text": pa.nulls(len(films), pa.string()),
        "year": pa.array(map(_year, films), pa.int64()),
        "genres": pa.array(map(_genres, films), pa.list_(pa.string())),
    })
    users = pa.table({
        name: [row[name] for row in people] for name in ("user_id", "age", "gender", "occupation")
    })
    for name, table in (("interactions", interactions), ("items", items), ("users", users)):
        with atomic_write(folder / f"{name}.parquet") as temporary:
            pq.write_table(table, temporary)


def _read(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated file whose header is ``name:type``."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        names = [column.partition(":")[0] for column in next(rows)]
        return [dict(zip(names, row, strict=True)) for row in rows]


def _title(film: dict[str, str]) -> str | None:
    title = film["movie_title"]
    if title == "unkonwn":
        return None
    inverted = _ARTICLE_LAST.fullmatch(title)
    return f"{inverted[2]} {inverted[1]}" if inverted else title


def _year(film: dict[str, str]) -> int | None:
    return int(film["release_year"]) if film["release_year"].isdecimal() else None


def _genres(film: dict[str, str]) -> list[str]:
    return [genre for genre in film["class"].split() if genre != "unknown"]
