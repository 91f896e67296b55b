import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.linear.text_space import TextSpace
from cllm4rec.linear.text_vectors import item_text_vectors
from support.strategies import any_texts


def test_items_with_the_same_words_have_the_same_vector():
    vectors = item_text_vectors(["red guitar", "red guitar", "blue drum", "blue drum"])
    np.testing.assert_allclose(vectors @ vectors.T, np.kron(np.eye(2), np.ones((2, 2))), atol=1e-5)


def test_pairs_of_words_tell_apart_what_single_words_cannot():
    words = ["big red guitar", "big red guitar", "guitar red big", "guitar red big"]
    likeness = item_text_vectors(words) @ item_text_vectors(words).T
    assert likeness[0, 1] == pytest.approx(1, abs=1e-5)
    assert likeness[0, 2] < 0.9


def test_a_repeated_word_counts_by_the_logarithm():
    # Both words are in both texts, so they weigh the same but for their counts: 1 + log 8 and 1.
    weights = TextSpace.fit(["guitar " * 8 + "drum", "drum guitar"]).tf_idf.toarray()
    drum, guitar = sorted(weights[0][weights[0] > 0])
    assert guitar / drum == pytest.approx(1 + np.log(8))


def test_stop_words_and_words_of_one_item_say_nothing():
    vectors = item_text_vectors(["the guitar", "guitar and unique", "the of and", "single"])
    assert vectors[0].any()
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    assert not vectors[2:].any()


@pytest.mark.parametrize(
    "words", [[], ["guitar"], ["", ""], ["guitar", "drum"], ["the", "the"], ["\x00", "😀"]]
)
def test_without_a_shared_word_there_are_no_dimensions(words):
    assert item_text_vectors(words).shape == (len(words), 0)


def test_dimensions_are_a_bound():
    words = [f"word{number % 7} other{number % 5}" for number in range(35)]
    assert item_text_vectors(words, dimensions=3).shape == (35, 3)


@given(st.lists(any_texts(), max_size=8))
def test_any_texts_give_rows_of_length_one_or_zero(words):
    vectors = item_text_vectors(words)
    assert vectors.shape[0] == len(words)
    assert vectors.dtype == np.float32
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.all(np.isclose(lengths, 1, atol=1e-5) | (lengths == 0))
