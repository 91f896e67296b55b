import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from cllm4rec.ranking import list_table
from support.ids import id_map

CATALOGUE = id_map(["007", "B", "é😀"], "item")
ITEMS = np.array([[2, 0, -1], [1, 2, 0], [-1, -1, -1]], np.int32)
SCORES = np.array([[3.5, 1, -np.inf], [9, 8, 7], [-np.inf] * 3], np.float32)
EXPECTED = [("7", "é😀", 1, 3.5), ("7", "007", 2, 1), ("v", "B", 1, 9), ("v", "é😀", 2, 8),
            ("v", "007", 3, 7)]  # fmt: skip


@pytest.mark.parametrize("ids", [["7", "v", "w"], pa.array(["7", "v", "w"], pa.large_string())])
def test_lists_are_rows_that_each_library_reads(ids):
    table = list_table(ids, ITEMS, SCORES, CATALOGUE)
    frames = [table.to_pandas(), pd.DataFrame.from_arrow(table), pl.from_arrow(table).to_pandas()]
    for frame in frames:
        assert list(frame.columns) == ["user_id", "item_id", "rank", "score"]
        assert list(frame.itertuples(index=False, name=None)) == EXPECTED


def test_no_list_is_an_empty_table_of_the_same_columns():
    empty = list_table([], np.empty((0, 5), np.int32), np.empty((0, 5), np.float32), CATALOGUE)
    assert len(empty) == 0
    assert empty.schema == list_table(["u"], ITEMS[:1], SCORES[:1], CATALOGUE).schema
