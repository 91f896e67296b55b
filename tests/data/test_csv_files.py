"""CSV in any separator and encoding reads as the same rows in UTF-8 with commas."""

import pytest

from cllm4rec.config import DataConfig, possible, request_of
from cllm4rec.errors import ConfigError, InputError
from support.input_folder import small_log
from support.prepared import histories, prepare_folder

TITLES = "item_id{0}title\ni0{0}café naïve\ni1{0}plain\n"


def folder_of(tmp_path, separator=",", encoding="utf-8"):
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    rows = [separator.join(map(str, row.values())) for row in small_log()]
    header = separator.join(["user_id", "item_id", "timestamp"])
    log = "\n".join([header, *rows, ""])
    (folder / "interactions.csv").write_bytes(log.encode(encoding))
    (folder / "items.csv").write_bytes(TITLES.format(separator).encode(encoding))
    return folder


def titles(dataset):
    return dataset.texts.item_titles[:2]


@pytest.mark.parametrize("setting", ["auto", None])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_separator_is_seen_in_the_header_or_given(tmp_path, separator, setting):
    folder = folder_of(tmp_path, separator)
    dataset, _ = prepare_folder(folder, csv_separator=setting or separator)
    assert titles(dataset) == ["café naïve", "plain"]
    assert len(histories(dataset, "train")["u0"]) == 4


def test_a_comma_in_the_header_separates_whatever_else_is_in_it(tmp_path):
    folder = folder_of(tmp_path)
    (folder / "items.csv").write_text("item_id,title;de\ni0,a;b\n", encoding="utf-8")
    dataset, _ = prepare_folder(folder)
    assert dataset.texts.item_features == {"title;de": ["a;b", *[None] * 7]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16", "utf-16-le", "gb18030"])
def test_an_encoding_that_is_given_is_read(tmp_path, encoding):
    dataset, _ = prepare_folder(folder_of(tmp_path, encoding=encoding), csv_encoding=encoding)
    assert titles(dataset) == ["café naïve", "plain"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_the_encoding(tmp_path, encoding):
    dataset, _ = prepare_folder(folder_of(tmp_path, ";", encoding))
    assert titles(dataset) == ["café naïve", "plain"]


def test_another_encoding_is_refused_with_the_setting_that_mends_it(tmp_path):
    folder = folder_of(tmp_path, encoding="cp1252")
    with pytest.raises(InputError, match=r"items\.csv cannot be read.*data\.csv_encoding=NAME"):
        prepare_folder(folder)
    with pytest.raises(InputError, match=r"items\.csv is not ascii throughout; name its encoding"):
        prepare_folder(folder, csv_encoding="ascii")


def test_the_copy_in_utf8_does_not_stay(tmp_path):
    before = set(tmp_path.glob("**/*.csv")) | set((folder := folder_of(tmp_path)).glob("*"))
    prepare_folder(folder_of(tmp_path, encoding="cp1252"), csv_encoding="cp1252")
    assert set(folder.parent.glob("**/*.csv")) == before


@pytest.mark.parametrize(("given", "kept"), [("tab", "\t"), ("\\t", "\t"), (";", ";")])
def test_a_tab_can_be_spelled(given, kept):
    assert DataConfig(csv_separator=given).csv_separator == kept
    assert possible(request_of(None, [f"data.csv_separator={given}"])).data.csv_separator == kept


@pytest.mark.parametrize("setting", ["csv_separator=ab", "csv_separator=", "csv_encoding=klingon",
                                     "csv_encoding=base64", "csv_encoding="])  # fmt: skip
def test_a_setting_that_cannot_be_is_refused(setting):
    with pytest.raises(ConfigError, match=r"setting data\.csv_"):
        request_of(None, [f"data.{setting}"])
