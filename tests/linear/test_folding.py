"""However a text is typed: words of texts and of queries have one form."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.linear.folding import composed, folded, folded_words
from cllm4rec.linear.word_index import WordIndex

ALIKE = [
    ("Café", "cafe\u0301"),
    ("Łódź", "lodz"),
    ("ﬁlm", "FILM"),
    ("ｗａｒ ａｔ ｓｅａ", "war at sea"),  # noqa: RUF001
    ("Straße", "STRASSE"),
    ("한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_two_ways_to_type_a_text_have_the_same_words(one, other):
    assert folded_words(one) == folded_words(other) != []
    index = WordIndex.fit([one, "another text", other])
    weights = index.weights.toarray()
    assert np.array_equal(weights[:, 0], weights[:, 2])
    for asked in (one, other):
        assert set(index.words_of(asked)) <= index.rows.keys()
        added = index.with_items([asked]).weights.toarray()
        assert np.array_equal(added[:, -1], weights[:, 0])


def test_hangul_is_read_in_whole_syllables():
    assert folded_words("\u1112\u1161\u11ab\u1100\u116e\u11a8") == ["한국"]


def test_voiced_kana_are_letters_of_their_own():
    assert len({folded(word) for word in ("ハハ", "ババ", "パパ")}) == 3
    assert folded_words("ガガ") == folded_words("\uff76\uff9e\uff76\uff9e") == ["ガガ"]


@given(st.text())
def test_what_is_folded_stays_as_it_is(text):
    assert folded(folded(text)) == folded(text)
    assert composed(composed(text)) == composed(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_of_plain_letters_only_the_case_changes(text):
    assert composed(text) == text.lower()


def test_an_index_of_an_earlier_version_answers():
    new = WordIndex.fit(["a cafe", "lodz film"])
    old = replace(new, terms=["café", "film", "łódź"])
    assert [old.rows[word] for word in old.words_of("LODZ CAFÉ")] == [2, 0]
