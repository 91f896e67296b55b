"""Files of ids are read as a CSV file's ids are."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.cli.recommend import ids_in
from support.examples import examples

LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("50", "50"),
        ('"50"', "50"),
        ('"50" \t', "50"),
        (' "50"', "50"),
        ('"a,b"', "a,b"),
        ("a,b", "a,b"),
        ('"say ""hi"""', 'say "hi"'),
        ('5" screw', '5" screw'),
        ('"50', '"50'),
        ('"', '"'),
        ('"50" "51"', '"50" "51"'),
        (" a b ", " a b "),
        ('" a b "', " a b "),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_of_one_line(tmp_path, line, expected, end):
    (tmp_path / "ids").write_bytes(f"first{end or chr(10)}{line}{end}".encode())
    assert ids_in(tmp_path / "ids") == ["first", expected]


def test_lines_without_an_id_are_none(tmp_path):
    (tmp_path / "ids").write_text('\n50\n \n ""\n\t\n51')
    assert ids_in(tmp_path / "ids") == ["50", "51"]


@given(st.lists(LINES.filter(str.strip)))
@examples(30)
def test_what_a_csv_writer_wrote_comes_back(tmp_path, ids):
    with (tmp_path / "ids").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([each] for each in ids)
    assert ids_in(tmp_path / "ids") == ids
