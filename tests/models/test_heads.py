import pytest
import torch

from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.models.losses import next_token_likelihood
from reference import losses as reference

HIDDEN = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
MEAN = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
ITEMS = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))


def scores(head: ItemHead) -> torch.Tensor:
    return head(HIDDEN, MEAN) @ ITEMS.T + head.bias


def test_the_plain_head_is_the_papers_tied_product():
    head = ItemHead(5, 4, projection=False, skip=False)
    torch.testing.assert_close(scores(head), HIDDEN @ ITEMS.T)


def test_a_projection_alone_starts_as_the_plain_head():
    head = ItemHead(5, 4, projection=True, skip=False)
    torch.testing.assert_close(scores(head), HIDDEN @ ITEMS.T)


def test_with_a_skip_the_scores_start_from_the_history():
    head = ItemHead(5, 4, projection=True, skip=True)
    torch.testing.assert_close(scores(head), MEAN @ ITEMS.T)


def test_one_row_has_a_mean_and_no_deviation():
    head = ItemHead(5, 4, projection=True, skip=True)
    head.standardise(HIDDEN[:1])
    assert torch.equal(head.mean, HIDDEN[0])
    assert torch.equal(head.std, torch.ones(4))
    head.standardise(HIDDEN)
    torch.testing.assert_close(head.std, HIDDEN.std(dim=0))


def test_a_coordinate_that_never_changes_has_the_least_deviation():
    head = ItemHead(5, 4, projection=True, skip=False)
    hidden = HIDDEN.clone()
    hidden[:, 2] = 7.0
    head.standardise(hidden)
    assert head.std[2] == pytest.approx(1e-3)
    torch.testing.assert_close(head.std[[0, 1, 3]], HIDDEN.std(dim=0)[[0, 1, 3]])
    assert head(hidden, MEAN).isfinite().all()


def test_scale_and_bias_act_on_the_scores():
    head = ItemHead(5, 4, projection=False, skip=False)
    with torch.no_grad():
        head.log_scale.fill_(torch.log(torch.tensor(2.0)))
        head.bias.copy_(torch.arange(5.0))
    torch.testing.assert_close(scores(head), 2 * HIDDEN @ ITEMS.T + torch.arange(5.0))


@pytest.mark.parametrize("projection", [False, True])
def test_word_head_scores_its_vocabulary_alone(projection):
    words = torch.randn(9, 4, generator=torch.Generator().manual_seed(3))
    vocabulary = torch.tensor([1, 4, 8])
    head = WordHead(words, vocabulary, projection=projection)
    targets = head.index[torch.tensor([8, 1, 4])]
    loss = next_token_likelihood(head(HIDDEN), head.candidates, head.bias, targets)
    expected = reference.linear_cross_entropy(
        HIDDEN, words[vocabulary], torch.zeros(3), torch.tensor([2, 0, 1])
    )
    assert float(loss.total.detach()) == pytest.approx(expected, rel=1e-4)
    assert head.index.tolist() == [-1, 0, -1, -1, 1, -1, -1, -1, 2]


def test_without_a_projection_there_is_nothing_to_standardise():
    head = ItemHead(5, 4, projection=False, skip=False)
    head.standardise(HIDDEN)
    assert not head.mean.any()
    assert torch.equal(head.std, torch.ones(4))


def test_states_are_standardised_before_the_projection():
    head = ItemHead(5, 4, projection=True, skip=False)
    head.standardise(HIDDEN)
    wanted = (HIDDEN - HIDDEN.mean(dim=0)) / HIDDEN.std(dim=0)
    torch.testing.assert_close(scores(head), wanted @ ITEMS.T)


def test_without_a_bias_nothing_but_a_map_is_trained():
    item = ItemHead(5, 4, projection=False, skip=False, bias=False)
    words = torch.randn(9, 4, generator=torch.Generator().manual_seed(3))
    word = WordHead(words, torch.arange(9), projection=False, bias=False)
    assert not [
        name for head in (item, word) for name, p in head.named_parameters() if p.requires_grad
    ]
    assert "bias" in item.state_dict()  # zeros: whoever scores reads it
