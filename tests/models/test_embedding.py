import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.items import FreeItems
from cllm4rec.tokens.space import ANONYMOUS, NOBODY, TokenSpace

SPACE = TokenSpace(num_words=5, num_users=2, num_items=3)
WORDS = torch.arange(20.0).reshape(5, 4)
ENTITIES = 100 + torch.arange(20.0).reshape(5, 4)


def embedding() -> TokenEmbedding:
    return TokenEmbedding(WORDS, ENTITIES[:2], FreeItems(ENTITIES[2:]), SPACE)


def without_users() -> TokenEmbedding:
    return TokenEmbedding.of_tables(WORDS, ENTITIES[:0], ENTITIES[2:])


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
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained == ["users", "items.weight"]
    assert model.users.grad.sum(1).tolist() == [0, 4]
    assert model.items.weight.grad.sum(1).tolist() == [0, 8, 0]


def test_an_anonymous_user_is_the_mean_of_the_rows_items():
    tokens = torch.tensor([[ANONYMOUS, 7, 9, 1], [ANONYMOUS, 0, 0, 0]])
    embedded = embedding()(tokens)
    assert embedded[0, 0].tolist() == ((ENTITIES[2] + ENTITIES[4]) / 2).tolist()
    assert embedded[1, 0].tolist() == [0, 0, 0, 0]


def test_tables_of_the_wrong_height_are_refused():
    with pytest.raises(ValueError, match="1 users and 3 items for TokenSpace"):
        TokenEmbedding(WORDS, ENTITIES[:1], FreeItems(ENTITIES[2:]), SPACE)
    with pytest.raises(ValueError, match="2 users and 2 items for TokenSpace"):
        TokenEmbedding(WORDS, ENTITIES[:2], FreeItems(ENTITIES[:2]), SPACE)


def test_the_tables_given_are_copied():
    users, items = ENTITIES[:2].clone(), ENTITIES[2:].clone()
    model = TokenEmbedding.of_tables(WORDS, users, items)
    users.zero_()
    items.zero_()
    assert model.users.tolist() == ENTITIES[:2].tolist()
    assert model.items.all().tolist() == ENTITIES[2:].tolist()


def test_the_layout_follows_from_the_tables():
    assert TokenEmbedding.of_tables(WORDS, ENTITIES[:2], ENTITIES[2:]).space == SPACE


@given(st.lists(st.lists(st.integers(-2, 9), min_size=3, max_size=3), min_size=1, max_size=4))
def test_entity_vectors_are_those_of_all_users_then_of_all_items(tokens):
    flat = [token for row in tokens for token in row]
    found = embedding().entity_vectors(torch.tensor(tokens))
    wanted = [t - 5 for t in flat if 5 <= t < 7] + [t - 5 for t in flat if t >= 7]
    assert found.tolist() == ENTITIES[wanted].tolist()
    assert len(found) == SPACE.num_entities(torch.tensor(tokens))


def test_without_users_there_is_no_parameter_and_no_user_token():
    model = without_users()
    assert model.users is None
    assert [name for name, _ in model.named_parameters()] == ["items.weight"]
    assert list(model.state_dict()) == ["items.weight"]
    with pytest.raises(ValueError, match="user number 0"):
        model.space.user(0)


def test_without_users_items_and_placeholders_are_what_they_are_with_them():
    items = torch.tensor([[0, 1, 2], [2, 2, 0]])
    placeholders, words = torch.tensor([[ANONYMOUS], [NOBODY]]), torch.tensor([[3], [1]])
    alone, beside = without_users(), embedding()
    found, wanted = (
        model(torch.cat([placeholders, words, model.space.item(items)], dim=1))
        for model in (alone, beside)
    )
    assert found.tolist() == wanted.tolist()
    tokens = alone.space.item(items)
    assert alone.entity_vectors(tokens).tolist() == ENTITIES[2 + items.flatten()].tolist()
    found.sum().backward()
    assert alone.items.weight.grad.any()


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
    assert model.users.grad is None or not model.users.grad.any()
    assert model.items.weight.grad is None or not model.items.weight.grad.any()
