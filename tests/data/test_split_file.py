import pyarrow.parquet as pq
import pytest

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.split_file import write_split
from support.input_folder import small_log, write_rows


@pytest.mark.parametrize("protocol", ["paper", "new-users"])
def test_the_written_split_prepares_the_same_data_again(tmp_path, protocol):
    write_rows(tmp_path / "source", "interactions", small_log(users=20, items=9))
    first = Dataset.load(tmp_path / "source", protocol=protocol)
    write_split(first, tmp_path / "split.parquet")
    second = Dataset.load(tmp_path / "source", split=tmp_path / "split.parquet")
    assert second.users.ids(range(len(second.users))) == first.users.ids(range(len(first.users)))
    assert second.interactions.items.tolist() == first.interactions.items.tolist()
    assert second.part_codes.tolist() == first.part_codes.tolist()
    table = pq.read_table(tmp_path / "split.parquet")
    assert table.column_names == ["user_id", "item_id", "part"]
    assert table.num_rows == len(first.interactions)
