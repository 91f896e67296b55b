"""What is said where the items' file has texts under names that are not known."""

import pandas as pd
import pytest

from cllm4rec.data.dataset import Dataset
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

SHOP = [
    {"SKU": f"i{n}", "Product Name": f"Thing {n}", "Long Description": "good"} for n in range(8)
]
CONFIG = {"columns": {"item_id": "SKU"}, "minimum_interactions": 1}
SAID = (
    "items have no title and no text; other columns: Product Name, Long Description; if one is, "
    "--set data.columns.title=NAME or --set data.columns.text=NAME; "
    'in Python config={"columns": {"title": NAME, "text": NAME}}'
)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_columns_that_may_be_a_title_are_named(tmp_path, said, ending):
    write_rows(tmp_path / "in", "interactions", small_log(), ending)
    write_rows(tmp_path / "in", "items", SHOP, ending)
    prepare_folder(tmp_path / "in", **CONFIG)
    assert said == [SAID]


def test_columns_of_a_frame_too(said):
    Dataset.from_frames(pd.DataFrame(small_log()), items=pd.DataFrame(SHOP), config=CONFIG)
    assert said == [SAID]


@pytest.mark.parametrize("standard", ["title", "text"])
def test_nothing_is_said_where_one_is_mapped(said, standard):
    columns = {**CONFIG["columns"], standard: "Product Name"}
    config = {**CONFIG, "columns": columns}
    Dataset.from_frames(pd.DataFrame(small_log()), items=pd.DataFrame(SHOP), config=config)
    assert said == []


def test_nor_of_bare_ids(said):
    """There is no column that could be a title."""
    ids = pd.DataFrame(SHOP)[["SKU"]]
    Dataset.from_frames(pd.DataFrame(small_log()), items=ids, config=CONFIG)
    assert said == []
