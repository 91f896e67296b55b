import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.models.embedding import ExtendedEmbedding
from cllm4rec.tokens.space import ANONYMOUS, NOBODY, TokenSpace

SPACE = TokenSpace(num_words=5, num_users=2, num_items=3)
WORDS = torch.arange(20.0).reshape(5, 4)
ENTITIES = 100 + torch.arange(20.0).reshape(5, 4)


def embedding() -> ExtendedEmbedding:
    return ExtendedEmbedding(WORDS, ENTITIES, SPACE)


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=4))
def test_every_token_gets_its_own_row(tokens):
    embedded = embedding()(torch.tensor(tokens))
    both = torch.cat([WORDS, ENTITIES])
    for row, sequence in enumerate(tokens):
        for position, token in enumerate(sequence):
            assert embedded[row, position].tolist() == both[token].tolist()


def test_words_are_frozen_and_entities_learn():
    model = embedding()
    model(torch.tensor([[0, 6, 8, 8]])).sum().backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["entities"]
    assert model.entities.grad is not None
    assert model.entities.grad.sum(1).tolist() == [0, 4, 0, 8, 0]


def test_an_anonymous_user_is_the_mean_of_the_rows_items():
    tokens = torch.tensor([[ANONYMOUS, 7, 9, 1], [ANONYMOUS, 0, 0, 0]])
    embedded = embedding()(tokens)
    assert embedded[0, 0].tolist() == ((ENTITIES[2] + ENTITIES[4]) / 2).tolist()
    assert embedded[1, 0].tolist() == [0, 0, 0, 0]


def test_items_are_a_view_of_the_table():
    model = embedding()
    assert model.items.tolist() == ENTITIES[2:].tolist()


def test_a_table_of_the_wrong_height_is_refused():
    with pytest.raises(ValueError, match="4 rows"):
        ExtendedEmbedding(WORDS, ENTITIES[:4], SPACE)


def test_nobody_is_zero_whatever_items_the_row_has():
    tokens = torch.tensor([[NOBODY, 7, 9, 1], [7, NOBODY, ANONYMOUS, 0]])
    embedded = embedding()(tokens)
    assert embedded[0, 0].tolist() == embedded[1, 1].tolist() == [0, 0, 0, 0]
    # All others are what they are without it; an anonymous user beside it too.
    assert embedded[0, 1:].tolist() == [*ENTITIES[[2, 4]].tolist(), WORDS[1].tolist()]
    assert embedded[1, 2].tolist() == embedded[1, 0].tolist() == ENTITIES[2].tolist()


def test_no_gradient_flows_through_nobody():
    model = embedding()
    model(torch.tensor([[NOBODY, 8]]))[0, 0].sum().backward()
    assert model.entities.grad is None or not model.entities.grad.any()
