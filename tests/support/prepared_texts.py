"""Texts of two users and three items, as `prepare` leaves them."""

import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec.data.texts import Texts

NOTHING = [None, None, None]
EVERYTHING = {
    "titles": ["A toy", None, "The other film"],
    "descriptions": [None, "Lovely, for the family.", " \n "],
    "item_features": {"year": ["1995", None, "2001"], "item_brand": [None, None, "Toys & Co"]},
    "user_features": {"age": [None, "31"]},
    "reviews": [(0, 2, "with the best"), (1, 0, ""), (1, 1, "not bad\n at  all")],
}


def write_texts(
    folder,
    *,
    titles=NOTHING,
    descriptions=NOTHING,
    item_features=None,
    user_features=None,
    reviews=(),
):
    """Prepared texts of two users and three items, as `prepare` leaves them."""
    folder.mkdir(exist_ok=True)
    text = pa.string()
    ids = {"item_id": ["i", "j", "k"], "title": pa.array(titles, text)}
    ids["text"] = pa.array(descriptions, text)
    features = {name: pa.array(column, text) for name, column in (item_features or {}).items()}
    pq.write_table(pa.table(ids | features), folder / "items.parquet")
    features = {name: pa.array(column, text) for name, column in (user_features or {}).items()}
    pq.write_table(pa.table({"user_id": ["u", "v"]} | features), folder / "users.parquet")
    users, items, words = zip(*reviews, strict=True) if reviews else ((), (), ())
    columns = [pa.array(users, pa.int32()), pa.array(items, pa.int32()), pa.array(words, text)]
    pq.write_table(pa.table(columns, names=["user", "item", "text"]), folder / "reviews.parquet")
    return Texts.of(folder)
