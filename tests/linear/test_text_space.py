import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save
from sklearn.feature_extraction.text import TfidfVectorizer

from cllm4rec.linear import decomposition
from cllm4rec.linear.text_space import TextSpace
from cllm4rec.linear.words import words_of
from support.strategies import any_texts

SOME = ["a red guitar", "Red guitar, red drum!", "the blue drum", "blue moon", "nothing shared"]


@given(st.lists(any_texts(), max_size=6))
def test_any_text_is_cut_into_terms_as_scikit_learn_does(texts):
    space = TextSpace.fit(SOME)
    names = {"ngram_range": (1, 2), "min_df": 2, "stop_words": "english", "sublinear_tf": True}
    cut = {"tokenizer": words_of, "token_pattern": None}
    wanted = TfidfVectorizer(**names, **cut).fit(SOME).transform([*texts, *SOME]).toarray()
    found = space.tf_idf_of([*texts, *SOME]).toarray()
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("exact_rows", [6_000, 1])
def test_a_text_of_an_item_gets_that_items_vector(exact_rows, monkeypatch):
    monkeypatch.setattr(decomposition, "EXACT_ROWS", exact_rows)
    rng = np.random.default_rng(0)
    words = [" ".join(f"word{each}" for each in rng.integers(0, 30, 6)) for _ in range(60)]
    space = TextSpace.fit(words, dimensions=10)
    np.testing.assert_allclose(space.vectors(words), space.placed, atol=1e-5)
    cosines = (space.placed * space.items).sum(axis=1)  # by another way to the same axes
    assert cosines.min() > 0.99


def test_words_that_no_item_has_give_zeros():
    space = TextSpace.fit(SOME)
    assert not space.vectors(["", "никогда", "the of and", "nothing"]).any()
    assert space.vectors(["RED"]).any()


@pytest.mark.parametrize("words", [SOME, ["", ""], [], ["one"]])
def test_written_and_read_back_it_places_alike(words):
    space = TextSpace.fit(words)
    again = TextSpace.of_arrays(load(save(space.arrays())), json.loads(json.dumps(space.names())))
    for texts in (["red moon"], []):
        np.testing.assert_array_equal(again.vectors(texts), space.vectors(texts))
    np.testing.assert_array_equal(again.items, space.items)
    assert again.num_items == len(words)
