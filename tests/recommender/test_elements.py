"""Elements of values, lists written as text among them."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.recommender.elements import elements

TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\\'\"[](),|u0x "))


@given(st.lists(TEXTS), st.booleans())
def test_a_list_of_texts_is_read_as_it_was_before_it_was_written(texts, ascii_only):
    expected = [text.strip() for text in texts if text.strip()]
    assert elements(json.dumps(texts, ensure_ascii=ascii_only), "|,") == expected
    assert elements(repr(texts), "|,") == expected
    if texts:
        assert elements(repr(tuple(texts)), "|,") == expected


@given(st.lists(st.integers(-(2**62), 2**62) | st.floats(width=32), min_size=1, max_size=99))
def test_an_array_of_numpys_is_read_as_it_was_before_it_was_written(numbers):
    array = np.array(numbers)
    expected = [each for each in array.tolist() if not math.isnan(each)]
    with np.printoptions(floatmode="unique"):
        assert list(map(float, elements(str(array), "|,"))) == list(map(float, expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(["Comédie"]), ["Comédie"]),
        (r"['caf\xe9', 'it\'s', '\U0001f600']", ["café", "it's", "\U0001f600"]),
        (r'["\ud83d\ude00", "a\/b"]', ["\U0001f600", "a/b"]),
        (r'["\ud83d", "C:\dir", "\U00110000"]', [r"\ud83d", r"C:\dir", r"\U00110000"]),
        ("[None, 'a']", ["a"]),
        ("[nan, 'a']", ["a"]),
        ("['a', None, 3]", ["a", "3"]),
        ('[null, NaN, "null", true, 1.50, 1e3]', ["null", "true", "1.50", "1e3"]),
        ("['a' 'b, c'\n 'd']", ["a", "b, c", "d"]),
        ("[Action, Comedy]", ["Action", "Comedy"]),
        ("[Action (old), Rock 'n' roll]", ["Action (old)", "Rock 'n' roll"]),
        ("[1 2 3]", ["1", "2", "3"]),
        ("[1.5  2.25]", ["1.5", "2.25"]),
        ("[ 1.  -20.\n 3.e+05]", ["1.", "-20.", "3.e+05"]),
        ("[3.]", ["3."]),
        ("[nan 1.  inf]", ["1.", "inf"]),
        ("[nan nan]", []),
        ("[1 2 ... 9]", ["1 2 ... 9"]),
        ("[7 seas]", ["7 seas"]),
        ("[1 2, 3]", ["1 2", "3"]),
        ("(1 2)", ["(1 2)"]),
        ("[]", []),
        ("('Action', 'Comedy')", ["Action", "Comedy"]),
        ("('Action',)", ["Action"]),
        ("(1, None, 2.50)", ["1", "2.50"]),
        ("()", []),
        ("(Action, Comedy)", ["(Action", "Comedy)"]),
        ("(Action)", ["(Action)"]),
        ("(1,234)", ["(1", "234)"]),
        ("[A], [B]", ["[A]", "[B]"]),
        ("['A'], ['B']", ["['A']", "['B']"]),
        ("[", ["["]),
        ("['it's', 'a]", ["'it's'", "'a"]),
    ],
)
def test_what_is_read_in_a_text(text, expected):
    assert elements(text, "|,") == expected
    assert elements(f" {text} ", "|,") == expected


@pytest.mark.parametrize(
    "text",
    [
        "[['a', 'b'], ['c']]",
        "['a', ['b']]",
        "[[1, 2], [3, 4]]",
        "[[A, B], [C]]",
        "[('a', 1), ('b', 2)]",
        "[(1, 2), (3, 4)]",
        '[{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]',
        "[" * 1000 + "]" * 1000,
    ],
)
def test_a_list_of_lists_is_one_element(text):
    assert elements(text, "|,") == [text]


def test_a_catalogue_is_read_in_time():
    long = [
        "[" + "'" * 998 + "]",
        "[" + "1 " * 499 + "x]",
        "[" + "1" * 998 + "]",
        "[" + "\\" * 998 + "]",
        "['" + " " * 996 + "]",
        "[" * 1000,
    ]
    begun = time.process_time()
    for text in ["Action|Comedy", "['K\\u00fcche', 'Tea, green']", "[1, 2, 3]", "[1 2 3]", "7.50"]:
        for _ in range(50_000):
            elements(text, "|,")
    for text in long:
        for _ in range(100):
            elements(text, "|,")
    assert time.process_time() - begun < 4  # 0.5 s here
