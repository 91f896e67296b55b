import pytest
import torch

from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.models.llms import saved_tensors
from cllm4rec.tasks.language import items_likelihood
from cllm4rec.tokens.batch import collate, next_tokens
from reference import losses as reference
from reference.documents import prediction_document
from support import tiny_models as tiny


def corpus() -> CollaborativeCorpus:
    return CollaborativeCorpus(tiny.interactions(), tiny.SPACE, tiny.prompts(), tiny.CORPUS, seed=0)


@pytest.mark.parametrize("skip", [True, False])
def test_the_collaborative_loss_is_the_autoregressive_one(skip):
    model = tiny.collaborative_llm(skip=skip)
    documents = [corpus().document(i, 0) for i in range(len(tiny.HISTORIES))]
    with torch.no_grad():
        loss = items_likelihood(model, tiny.ALL_ITEMS)(collate(documents))
        expected = sum(reference.next_item_nll(model, document) for document in documents)
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)
    # The first item counts too: every item of every history is scored.
    assert loss.count == sum(map(len, tiny.HISTORIES))


def test_the_item_order_matters_to_the_autoregressive_loss_alone():
    likelihood = items_likelihood(tiny.collaborative_llm(), tiny.ALL_ITEMS)
    documents = [corpus().document(2, epoch) for epoch in range(2)]
    assert documents[0].main.tolist() != documents[1].main.tolist()
    with torch.no_grad():
        first, second = (float(likelihood(collate([d])).total) for d in documents)
    assert first != pytest.approx(second, rel=1e-6)


def questions() -> list:
    return [
        prediction_document(
            user, tiny.interactions().of(user), tiny.SPACE, tiny.prompts(), tiny.CORPUS, seed=0
        )
        for user in range(len(tiny.HISTORIES))
    ]


def test_a_batch_scores_as_its_rows_do_alone():
    model = tiny.collaborative_llm()
    with torch.no_grad():
        together = tiny.asked(model, questions())
        alone = torch.cat([tiny.asked(model, [question]) for question in questions()])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert together.shape == (len(tiny.HISTORIES), tiny.NUM_ITEMS)


def test_states_are_what_the_backbone_says_where_the_head_is_asked():
    model = tiny.collaborative_llm()
    documents = [corpus().document(i, 0) for i in range(len(tiny.HISTORIES))]
    batch = collate(documents)
    with torch.no_grad():
        hidden = model.backbone(model.embedding(batch.tokens), batch.lengths)
        rows, positions, _ = next_tokens(batch)
        torch.testing.assert_close(model.states(batch), hidden[rows, positions])
        last = torch.cat([model.last_states(collate([d])) for d in documents])
        wanted = torch.stack([hidden[row, len(d) - 1] for row, d in enumerate(documents)])
        torch.testing.assert_close(last, wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.last_states(batch), wanted, rtol=1e-4, atol=1e-5)


def test_what_is_saved_leaves_the_backbone_and_the_words_out():
    names = set(saved_tensors(tiny.collaborative_llm()))
    assert names == {
        "embedding.items.weight",
        "embedding.users",
        "head.bias",
        "head.log_scale",
        "head.mean",
        "head.projection.weight",
        "head.skip.weight",
        "head.std",
    }
