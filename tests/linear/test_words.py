"""Words in any script, beside scikit-learn's where words have spaces between them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.linear.folding import folded_words
from cllm4rec.linear.word_index import WordIndex
from cllm4rec.linear.words import CUT, cut_otherwise, words_of

SPACED = st.characters(max_codepoint=0x08FF)


@given(st.text(SPACED))
def test_words_with_spaces_are_scikit_learns(text):
    assert words_of(text) == re.findall(r"\b\w\w+\b", text)
    assert words_of(text, least=1) == re.findall(r"\w+", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("東京物語", ["東京", "京物", "物語"]),
        ("犬 and 猫", ["犬", "and", "猫"]),
        ("iPhone用ケース 2個", ["iPhone", "用ケ", "ケー", "ース", "個"]),
        ("हिन्दी किताब", ["हिन्दी", "किताब"]),
        ("ไทย", ["ไท", "ทย"]),
        ("한국 영화", ["한국", "영화"]),
        ("", []),
    ],
)
def test_words_of_other_scripts(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize("pair", [("किताब", "कताब"), ("क्षमा", "कषमा"), ("ไม่", "ไม้"), ("か", "が")])
def test_signs_that_make_another_word_are_kept(pair):
    one, other = map(folded_words, pair)
    assert one != other


@pytest.mark.parametrize(("query", "item"), [("物語", 1), ("किताब", 0), ("ケース", 2)])
def test_a_query_finds_what_is_inside_a_text(query, item):
    index = WordIndex.fit(["नई किताब", "東京物語", "iPhone用ケース"])
    assert index.having_all(index.words_of(query)).nonzero()[0].tolist() == [item]


@pytest.mark.parametrize(
    ("text", "term", "hidden"),
    [
        ("家族", "静かな家族の映画", True),
        ("犬", "静かな家族の映画", False),
        ("किताब", "कत", True),
        ("कमल", "कमल", False),  # without a sign: cut as it is today
        ("quiet", "quiet", False),
    ],
)
def test_words_that_an_earlier_cut_hides(text, term, hidden):
    assert cut_otherwise(text, ["robot", term], 1) == hidden
    assert not cut_otherwise(text, ["robot", term], CUT)
