import pytest
import torch

from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.recommendation import prediction_document
from cllm4rec.models.llms import saved_tensors
from cllm4rec.tokens.batch import collate
from reference import losses as reference
from support import tiny_models as tiny


def corpus() -> CollaborativeCorpus:
    return CollaborativeCorpus(tiny.interactions(), tiny.SPACE, tiny.prompts(), tiny.CORPUS, seed=0)


@pytest.mark.parametrize("skip", [True, False])
def test_the_collaborative_loss_is_the_autoregressive_one(skip):
    model = tiny.collaborative_llm(skip=skip)
    documents = [corpus().document(i, 0) for i in range(len(tiny.HISTORIES))]
    with torch.no_grad():
        loss = model.loss(collate(documents))
        expected = sum(reference.next_item_nll(model, document) for document in documents)
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)
    # The first item counts too: every item of every history is scored.
    assert loss.count == sum(map(len, tiny.HISTORIES))


def test_the_item_order_matters_to_the_autoregressive_loss_alone():
    model = tiny.collaborative_llm()
    documents = [corpus().document(2, epoch) for epoch in range(2)]
    assert documents[0].main.tolist() != documents[1].main.tolist()
    with torch.no_grad():
        first, second = (float(model.loss(collate([d])).total) for d in documents)
    assert first != pytest.approx(second, rel=1e-6)


def questions() -> list:
    return [
        prediction_document(
            user, tiny.interactions().of(user), tiny.SPACE, tiny.prompts(), tiny.CORPUS, seed=0
        )
        for user in range(len(tiny.HISTORIES))
    ]


def test_a_batch_scores_as_its_rows_do_alone():
    model = tiny.rec_llm()
    with torch.no_grad():
        together = model(collate(questions()))
        alone = torch.cat([model(collate([question])) for question in questions()])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert together.shape == (len(tiny.HISTORIES), tiny.NUM_ITEMS)


def test_cold_items_are_scored_but_never_learned_against():
    model = tiny.rec_llm()
    model.cold[3] = -torch.inf
    batch = collate(questions())
    with torch.no_grad():
        assert model(batch).isfinite().all()
        assert model.training_logits(batch)[:, 3].tolist() == [-torch.inf] * len(tiny.HISTORIES)
    model.training_logits(batch).logsumexp(1).sum().backward()
    assert model.head.bias.grad is not None
    assert model.head.bias.grad[3] == 0


def test_what_is_saved_leaves_the_backbone_and_the_words_out():
    names = set(saved_tensors(tiny.rec_llm()))
    assert names == {
        "embedding.entities",
        "head.bias",
        "head.center",
        "head.log_scale",
        "head.projection.weight",
        "head.skip.weight",
        "head.spread",
    }
