"""CSV in any separator and encoding reads as the same rows in UTF-8 with commas."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import DataConfig, possible, request_of
from cllm4rec.data.csv_files import Form, line_of_record, with_one_line_end
from cllm4rec.data.database import open_database
from cllm4rec.data.reading import open_file
from cllm4rec.data.recipe import recipe
from cllm4rec.errors import ConfigError, InputError
from support.examples import examples
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


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("first", ["", '"";'])
def test_names_in_quotes_are_separated_by_what_they_are(tmp_path, separator, first):
    """As R's write.csv2 leaves them, with row names and without."""
    folder = folder_of(tmp_path)
    content = f'{first}"item_id";"title"\n{first and "1;"}"i0";"A, B"\n'.replace(";", separator)
    (folder / "items.csv").write_text(content, encoding="utf-8")
    dataset, _ = prepare_folder(folder)
    assert titles(dataset)[0] == "A, B"
    assert dataset.texts.item_attributes == {}


def test_a_comma_in_a_quoted_name_separates_nothing(tmp_path):
    folder = folder_of(tmp_path)
    content = 'item_id;title;"size (w, h)"\ni0;A, B;"1, 2"\n'
    (folder / "items.csv").write_text(content, encoding="utf-8")
    dataset, _ = prepare_folder(folder)
    assert titles(dataset)[0] == "A, B"
    assert list(dataset.texts.item_attributes) == ["size (w, h)"]


def test_blanks_around_a_name_in_the_header_are_no_part_of_it(tmp_path):
    folder = folder_of(tmp_path)
    (folder / "items.csv").write_text("item_id, title\t,kind \ni0,A,film\n", encoding="utf-8")
    dataset, _ = prepare_folder(folder)
    assert titles(dataset)[0] == "A"
    assert list(dataset.texts.item_attributes) == ["kind"]


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
    with pytest.raises(
        InputError, match=r"items\.csv is not ascii throughout; .* name its encoding"
    ):
        prepare_folder(folder, csv_encoding="ascii")


def test_the_copy_in_utf8_does_not_stay(tmp_path):
    before = set(tmp_path.glob("**/*.csv")) | set((folder := folder_of(tmp_path)).glob("*"))
    prepare_folder(folder_of(tmp_path, encoding="cp1252"), csv_encoding="cp1252")
    assert set(folder.parent.glob("**/*.csv")) == before


@pytest.mark.parametrize(("given", "kept"), [("tab", "\t"), ("\\t", "\t"), (";", ";")])
def test_a_tab_can_be_spelled(given, kept):
    assert DataConfig(csv_separator=given).csv_separator == kept
    assert possible(request_of(None, [f"data.csv_separator={given}"])).data.csv_separator == kept


@pytest.mark.parametrize("columns", [{}, {"user_id": "user_id"}])
@pytest.mark.parametrize(
    ("written", "given", "seen", "shown"),
    [("\t", ",", "tab", "','"), (";", "tab", "';'", "tab"), (",", "|", "','", "'|'")],
)
def test_a_wrong_separator_is_said(tmp_path, columns, written, given, seen, shown):
    """All columns were one, with the advice to rename it."""
    folder = folder_of(tmp_path, written)
    with pytest.raises(InputError) as caught:
        prepare_folder(folder, csv_separator=given, columns=columns)
    assert str(caught.value) == (
        f"{folder}/interactions.csv: the header looks separated by {seen}, and data.csv_separator "
        f"is {shown}; leave that out, or set it to {seen}"
    )


def test_a_column_alone_has_no_separator(tmp_path):
    folder = folder_of(tmp_path, ";")
    (folder / "items.csv").write_text("item_id\ni0\n", encoding="utf-8")
    dataset, _ = prepare_folder(folder, csv_separator=";")
    assert len(dataset.items) == 8


@pytest.mark.parametrize("setting", ["csv_separator=ab", "csv_separator=", "csv_encoding=klingon",
                                     "csv_encoding=base64", "csv_encoding="])  # fmt: skip
def test_a_setting_that_cannot_be_is_refused(setting):
    with pytest.raises(ConfigError, match=r"setting data\.csv_"):
        request_of(None, [f"data.{setting}"])


ENDS = ("\n", "\r\n", "\r")
VALUES = st.lists(st.sampled_from(["a", ",", '"', "\n", "\r", "\r\n", "é"]), max_size=6).map(
    "".join
)
LINES = st.lists(st.tuples(VALUES, st.sampled_from(ENDS)), max_size=8)


def written(values_and_ends) -> bytes:
    """A record per value, with its line end; what needs quotes has them."""
    text = io.StringIO(newline="")
    for value, end in values_and_ends:
        # The module itself quotes only a line end that is its own.
        quoting = csv.QUOTE_ALL if set(value) & set("\r\n") else csv.QUOTE_MINIMAL
        csv.writer(text, lineterminator=end, quoting=quoting).writerow([value, "x"])
    return text.getvalue().encode()


@examples(20)
@given(first=st.sampled_from(ENDS), lines=LINES)
def test_line_ends_of_any_kind_are_read_and_those_in_values_stay(tmp_path_factory, first, lines):
    folder = tmp_path_factory.mktemp("ends")
    path = folder / "items.csv"
    path.write_bytes(written([("name", first), *lines]))
    ends = {first, *(end for _, end in lines)}
    with open_database(folder, "128MB") as connection:
        file = open_file(connection, path, DataConfig())
        found = connection.execute(f"SELECT * FROM {file.relation}").fetchall()
    assert file.csv is not None
    assert (file.csv[0] == path) == (len(ends) == 1)
    assert found == [(value or None, "x") for value, _ in lines]


@examples(20)
@given(lines=LINES, end=st.sampled_from(ENDS))
def test_the_line_of_a_record_is_the_one_an_editor_shows(tmp_path_factory, lines, end):
    path = tmp_path_factory.mktemp("lines") / "items.csv"
    path.write_bytes(written([("name", end), *((value, end) for value, _ in lines)]))
    for number in range(1, len(lines) + 2):
        before = written([("name", end), *((value, end) for value, _ in lines)][: number - 1])
        shown = before.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        assert line_of_record(path, Form(","), number) == len(shown)


def test_a_quote_within_a_value_is_a_letter(tmp_path):
    """Of a screen's 24 inches; what follows is not in quotes."""
    path = tmp_path / "items.csv"
    path.write_bytes(b'item_id,title\n1,24" screen\r\n2,"two\r\nlines"\n')
    plain = with_one_line_end(path, Form(","), tmp_path)
    assert plain.read_bytes() == b'item_id,title\n1,24" screen\n2,"two\r\nlines"\n'


def test_a_log_of_two_line_ends_is_the_log_of_one(tmp_path):
    folder = folder_of(tmp_path)
    before, _ = prepare_folder(folder)
    path = folder / "interactions.csv"
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\r\n".join(lines[:9]) + b"\n" + b"\n".join(lines[9:]))
    after, report = prepare_folder(folder)
    assert report["read"] == 36
    assert histories(after, "train") == histories(before, "train")


LONE = ['"Weird Al" Yankovic', '"Heroes', '12" single', 'say "hi"']


def with_lone_quotes(tmp_path):
    folder = folder_of(tmp_path, "\t")
    rows = "".join(f"i{n}\t{title}\n" for n, title in enumerate(LONE))
    (folder / "items.csv").write_text(f"item_id\ttitle\n{rows}", encoding="utf-8")
    return folder


def test_quotes_may_be_letters(tmp_path):
    dataset, _ = prepare_folder(with_lone_quotes(tmp_path), csv_quotes=False)
    assert dataset.texts.item_titles[:4] == LONE
    assert len(histories(dataset, "train")["u0"]) == 4


def test_a_quote_that_is_not_closed_names_the_setting(tmp_path):
    mend = r"mend it, or --set data\.csv_quotes=false: quotes are letters$"
    with pytest.raises(InputError, match=rf"line 2 has a quote that is not closed, .*{mend}"):
        prepare_folder(with_lone_quotes(tmp_path))


@given(
    rows=st.lists(
        st.tuples(st.text("ab\" ,;'", max_size=5), st.text('x"', min_size=1, max_size=4)),
        min_size=1,
        max_size=5,
    ),
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=6, max_size=6),
)
@examples(30)
def test_without_quotes_every_line_is_a_row_whatever_its_ends(tmp_path, rows, ends):
    lines = ["a\tb", *("\t".join(row) for row in rows)]
    path = tmp_path / "rows.csv"
    path.write_bytes("".join(x + end for x, end in zip(lines, ends, strict=False)).encode())
    with open_database(tmp_path, "128MB") as connection:
        file = open_file(connection, path, DataConfig(csv_quotes=False))
        found = connection.execute(f"SELECT a, b FROM {file.relation}").fetchall()
    assert [(a or "", b) for a, b in found] == rows


def test_a_default_that_came_later_makes_no_other_recipe(tmp_path):
    folder = folder_of(tmp_path)
    given = {"split": None, "protocol": "paper", "seed": 0}
    plain, quoted = (
        recipe(folder, config=DataConfig(csv_quotes=each), **given) for each in (True, False)
    )
    assert "csv_quotes" not in plain["settings"]
    assert quoted["settings"]["csv_quotes"] is False
