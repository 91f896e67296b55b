import pytest
import torch

from cllm4rec.models.randomness import seeded
from cllm4rec.tasks.held_out import HeldOutObjective
from cllm4rec.training.loop import Pass, optimiser_step
from cllm4rec.training.optim import adam
from reference import losses as reference
from support import tiny_models as tiny
from support.tiny_objectives import held_out


def whole(model: HeldOutObjective) -> Pass:
    return Pass("finetune", 0, len(model.corpus))


def test_users_with_one_item_have_nothing_to_hold_out():
    assert held_out().corpus.users.tolist() == [0, 1, 2, 4, 5]


def test_the_target_is_the_held_out_items_and_nothing_else():
    model = held_out()
    for step in model.steps(whole(model)):
        for batch in model.batches(step):
            for row in range(len(batch.prompts.lengths)):
                shown = batch.prompts.tokens[row, : batch.prompts.lengths[row]]
                items = {tiny.SPACE.item_number(int(t)) for t in shown if tiny.SPACE.is_item(t)}
                held = set(batch.items[batch.rows == row].tolist())
                assert held
                assert not held & items


def test_losses_equal_the_slow_versions():
    model = held_out()
    [batch] = model.batches(model.steps(whole(model))[0])
    losses = model.losses(batch)
    logits = model.model.logits(model.model.last_queries(batch.prompts)).detach()
    held = [batch.items[batch.rows == row].tolist() for row in range(len(logits))]
    assert float(losses["likelihood"].total.detach()) == pytest.approx(
        reference.holdout_nll(logits, held), rel=1e-4
    )
    first = tiny.SPACE.num_words
    tokens = batch.prompts.tokens.flatten().tolist()
    rows = [token - first for token in tokens if token >= first]
    rows += [tiny.SPACE.num_users + item for item in batch.items.tolist()]
    expected = reference.half_squared_distance(
        tiny.table(model.model.embedding), tiny.table(tiny.embedding(9)), rows
    )
    assert float(losses["mutual"].total.detach()) == pytest.approx(expected, rel=1e-4)
    assert model.counts(batch) == {name: loss.count for name, loss in losses.items()}


def test_accumulated_micro_batches_equal_the_whole_batch():
    results = []
    for batch_tokens in (10_000, 1):
        model = held_out(batch_tokens)
        optimizer = adam(model.parameters(), learning_rate=1e-2, head_scale=0.1)
        steps = model.steps(whole(model))
        assert len(model.batches(steps[0])) == (1 if batch_tokens > 1 else 3)
        values = [optimiser_step(model, optimizer, step)["loss"] for step in steps]
        results.append((values, {n: p.detach() for n, p in model.parameters().items()}))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-4)
    for name, tensor in results[0][1].items():
        torch.testing.assert_close(tensor, results[1][1][name], rtol=1e-3, atol=1e-4)


def test_validation_in_between_does_not_switch_dropout_off():
    model = held_out()
    model.model.dropout = 0.5
    [batch] = model.batches(model.steps(whole(model))[0])

    def likelihood() -> float:
        with torch.no_grad(), seeded(0):
            return float(model.losses(batch)["likelihood"].total)

    first = likelihood()
    model.model.eval()
    assert likelihood() == first
    model.model.dropout = 0.0
    assert likelihood() != first


def test_without_content_there_is_no_regularisation():
    model = held_out(weight=0.0)
    [batch] = model.batches(model.steps(whole(model))[0])
    assert set(model.losses(batch)) == {"likelihood"}
