"""Which words of a query say what is asked for, and which of them an item must have."""

import pytest

from cllm4rec.linear.folding import composed
from cllm4rec.linear.function_words import FUNCTION_WORDS, content_words, demanded


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("a quiet film about the sea", "quiet film sea"),
        ("Quiet, quiet (and the sea)", "quiet sea"),
        ("fire", "fire"),
        ("Will Smith", "will smith"),
        ("Stephen King It", "stephen king it"),
        ("vitamin c", "vitamin c"),
        ("vitamin A serum", "vitamin a serum"),
        ("films with a dog", "films dog"),
        ("PlayStation 5", "playstation 5"),
        ("R&D", "r d"),
        ("AT&T", "at t"),
        ("the A-Team", "a team"),
        ("in-ear", "in ear"),
        ("children’s books", "children books"),  # noqa: RUF001
        ("rock'n'roll", "rock roll"),
        ("l'amour", "amour"),
        ("5' cable", "5 cable"),
        ("the the", "the"),
        ("to be", "to be"),
        ("a", "a"),
        ("東京 a", "東京 a"),
        ("?", ""),
    ],
)
def test_words_of_a_query(query, words):
    assert content_words(composed(query)) == words.split()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("vitamin c serum", "vitamin c serum"),
        ("vitamin e oil", "vitamin oil"),
        ("vitamin e", "vitamin e"),
        ("guerra y paz", "guerra paz"),
        ("война и мир", "война мир"),
        ("a", "a"),
        ("", ""),
    ],
)
def test_letters_that_are_words_somewhere_are_not_demanded(query, words):
    assert demanded(content_words(query)) == words.split()


def test_what_is_also_a_name_or_an_object_is_no_function_word():
    content = (
        "fire thin thick system bill full top empty bottom cry mill mine can may will call find "
        "back side front name interest serious one two first last it us who am not no all off"
    )
    assert FUNCTION_WORDS.isdisjoint(content.split())
