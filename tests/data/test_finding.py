"""Which files of the input are read."""

import pytest

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.finding import find_file, find_log
from cllm4rec.errors import InputError
from cllm4rec.progress import kept_notes
from support.input_folder import small_log, write_rows


def test_the_one_file_of_a_stem_is_found(tmp_path):
    assert find_file(tmp_path, "items") is None
    path = write_rows(tmp_path, "items", [{"item_id": "a"}], "jsonl")
    assert find_file(tmp_path, "items") == path


def test_two_files_of_a_stem_are_refused(tmp_path):
    for ending in ("csv", "jsonl"):
        write_rows(tmp_path, "items", [{"item_id": "a"}], ending)
    with pytest.raises(InputError, match=r"has both items\.csv and items\.jsonl; keep one"):
        find_file(tmp_path, "items")


def test_a_required_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"has no interactions\.parquet, interactions\.csv or"):
        find_log(tmp_path)
    with pytest.raises(InputError, match="nothing at"):
        find_log(tmp_path / "absent")


@pytest.mark.parametrize(
    ("names", "mend"),
    [
        (["notes.md"], "add one"),
        (["items.csv", "log.csv"], "if it is one of items.csv, log.csv, rename it to "
                                   "interactions.csv or the like; else add one"),
        (["interactions.CSV", "log.csv"], "rename interactions.CSV to interactions.csv"),
        (["Interactions.parquet"], "rename Interactions.parquet to interactions.parquet"),
        (["interactions.csv.gz"], "unpack interactions.csv.gz"),
        (["interactions.zip"], "unpack interactions.zip"),
        (["interactions.xlsx"], "save interactions.xlsx as interactions.csv"),
        (["interactions.tsv"], "save interactions.tsv as interactions.csv"),
    ],
)  # fmt: skip
def test_a_log_of_another_name_or_ending_is_named_with_its_mend(tmp_path, names, mend):
    for file in names:
        (tmp_path / file).write_text("user_id,item_id\n")
    with pytest.raises(InputError) as refused:
        find_log(tmp_path)
    start = "has no interactions.parquet, interactions.csv or interactions.jsonl; "
    assert str(refused.value) == f"{tmp_path} {start}{mend}"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_log_by_itself_is_the_input(tmp_path, ending):
    """What stands beside it is another's, but one that a folder's would be is named."""
    log = write_rows(tmp_path, "sales", small_log(), ending)
    write_rows(tmp_path, "items", [{"item_id": "i0", "title": "zero"}], "csv")
    with kept_notes() as notes:
        alone = Dataset.load(log)
    assert notes == [
        f"not read: items.csv beside sales.{ending}; to have them read, give the folder, with the "
        f"log in it called interactions.{ending}"
    ]
    assert alone.texts.item_titles == [None] * len(alone.items)
    folder = Dataset.load(write_rows(tmp_path / "in", "interactions", small_log(), ending).parent)
    assert alone.interactions.items.tolist() == folder.interactions.items.tolist()


def test_a_folder_of_partitions_is_a_log_by_itself(tmp_path):
    partition = write_rows(tmp_path / "sales.parquet", "part-0", small_log(), "parquet")
    assert find_log(partition.parent) == [partition.parent]
    assert len(Dataset.load(partition.parent).interactions) == 36


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("1\t10\t5\t881250949", "names no columns: its first line looks like a row; write their "
                                "names above it"),
        ("A1YJ,B00004TQLV,5.0,1096934400", "names no columns: its first line looks like a row; "
                                           "write their names above it"),
        ("1::10::5::881250949", "separates its columns by '::', which is not read; write a tab for "
                                "each '::', and above all the names of the columns"),
    ],
)  # fmt: skip
def test_a_log_without_names_of_columns_is_refused_with_its_mend(tmp_path, line, mend):
    (log := tmp_path / "log.csv").write_text(f"{line}\n{line}\n")
    with pytest.raises(InputError) as refused:
        Dataset.load(log)
    assert str(refused.value) == f"{log} {mend}"


def test_one_column_called_by_a_number_is_no_row(tmp_path):
    (log := tmp_path / "log.csv").write_text("customer,sku,2020\na,b,1\n")
    with pytest.raises(InputError, match=r"it has customer, sku, 2020.*rename, or map"):
        Dataset.load(log)
