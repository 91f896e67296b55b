"""What a history is to the models: decayed means, causality, padding, users who are nobody."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.documents.collaborative import history_document
from cllm4rec.documents.document import Document
from cllm4rec.models.llms import recent_mean, running_mean
from cllm4rec.tasks.language import items_likelihood
from cllm4rec.tokens.batch import collate
from cllm4rec.tokens.space import NOBODY
from reference import losses as reference_losses
from reference import means as reference
from support import tiny_models as tiny

decays = st.sampled_from([1.0, 0.8, 0.3])
marks = st.integers(1, 7).flatmap(
    lambda length: st.lists(
        st.lists(st.booleans(), min_size=length, max_size=length), min_size=1, max_size=3
    )
)


def vectors(rows: int, length: int) -> torch.Tensor:
    return torch.randn(rows, length, 3, generator=torch.Generator().manual_seed(length))


def document(items: list[int], user: int = NOBODY) -> Document:
    return history_document(user, np.array(items, np.int32), tiny.SPACE, tiny.prompts())


@given(marks, decays)
def test_the_running_mean_equals_the_slow_loop(marked, decay):
    is_item = torch.tensor(marked)
    embedded = vectors(*is_item.shape)
    found = running_mean(embedded, is_item, decay)
    wanted = torch.tensor(reference.running_mean(embedded, is_item, decay))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@given(marks, decays)
def test_the_recent_mean_is_the_running_mean_at_the_end(marked, decay):
    is_item = torch.tensor(marked)
    embedded = vectors(*is_item.shape)
    torch.testing.assert_close(
        recent_mean(embedded, is_item, decay), running_mean(embedded, is_item, decay)[:, -1]
    )


def test_decayed_means_by_hand():
    embedded = torch.tensor([[[4.0], [100.0], [8.0], [100.0], [1.0]]])
    is_item = torch.tensor([[True, False, True, False, True]])
    found = running_mean(embedded, is_item, 0.5).flatten().tolist()
    # 4; then (2 + 8) / 1.5; then (1 + 4 + 1) / 1.75; a word changes nothing.
    assert found == pytest.approx([4, 4, 10 / 1.5, 10 / 1.5, 6 / 1.75])
    assert recent_mean(embedded, is_item, 0.5).item() == pytest.approx(6 / 1.75)
    assert running_mean(embedded, is_item).flatten()[-1].item() == pytest.approx(13 / 3)


@pytest.mark.parametrize("decay", [1.0, 0.6])
def test_a_padded_batch_asks_the_same_as_its_documents_alone(decay):
    model = tiny.collaborative_llm(skip_decay=decay).eval()
    documents = [document(items) for items in ([3, 0, 5, 1, 6], [2], [], [4, 1])]
    with torch.no_grad():
        together = tiny.asked(model, documents)
        alone = torch.cat([tiny.asked(model, [each]) for each in documents])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decay", [1.0, 0.6])
def test_the_collaborative_loss_is_the_autoregressive_one_with_decay(decay):
    model = tiny.collaborative_llm(skip_decay=decay).eval()
    documents = [document(row) for row in tiny.HISTORIES]
    with torch.no_grad():
        loss = items_likelihood(model, tiny.ALL_ITEMS)(collate(documents))
        expected = sum(reference_losses.next_item_nll(model, each) for each in documents)
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)


def predictions(items: list[int], decay: float) -> torch.Tensor:
    """Logits before each main-text item, as the loss of training takes them."""
    model = tiny.collaborative_llm(skip_decay=decay).eval()
    batch = collate([document(items)])
    with torch.no_grad():
        return model.logits(model.queries(batch))


@given(
    st.permutations(range(tiny.NUM_ITEMS)), st.integers(1, tiny.NUM_ITEMS - 1), st.randoms(), decays
)
def test_later_items_never_change_an_earlier_prediction(items, kept, random, decay):
    later = items[kept:]
    random.shuffle(later)
    changed = [*items[:kept], *later[1:]]
    first, second = predictions(items, decay), predictions(changed, decay)
    torch.testing.assert_close(first[: kept + 1][: len(second)], second[: kept + 1])


def test_training_and_asking_give_the_same_scores_at_the_end_of_a_history():
    """The question of recommendation time is the one that next-item training answers."""
    history, nxt = [3, 0, 5], 1
    trained = predictions([*history, nxt], 0.6)[-1]
    model = tiny.collaborative_llm(skip_decay=0.6).eval()
    with torch.no_grad():
        asked = tiny.asked(model, [document(history)])[0]
    torch.testing.assert_close(trained, asked, rtol=1e-4, atol=1e-5)
