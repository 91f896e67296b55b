"""GPT-2 small, the paper's backbone, at full size with random weights and a tokenizer of ours."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2Model

from cllm4rec.config import PAPER
from cllm4rec.documents import prompts as wording
from cllm4rec.documents.limits import refuse_too_long
from cllm4rec.documents.prompts import Prompts
from cllm4rec.errors import ConfigError
from cllm4rec.models.backbone import Backbone
from cllm4rec.models.build import collaborative_llm, content_llm
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.tasks import HeldOut
from cllm4rec.tasks.language import words_likelihood
from cllm4rec.tokens.batch import collate
from cllm4rec.tokens.space import TokenSpace
from cllm4rec.tokens.tokenizer import WordTokenizer
from cllm4rec.training.loop import Pass
from support import tiny_models as tiny

WORDS, WIDTH, LAYERS, POSITIONS = 50257, 768, 12, 1024


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> WordTokenizer:
    """Every word of the prompts is one token, as it is for GPT-2's own tokenizer."""
    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=alphabet, min_frequency=1, show_progress=False
    )
    templates = [wording.HISTORY, wording.RECOMMENDATION, wording.REVIEW, wording.ITEM_TITLE]
    templates += [wording.ITEM_DESCRIPTION, wording.ITEM_FEATURE, wording.USER_FEATURE]
    own.train_from_iterator(templates, trainer)
    folder = tmp_path_factory.mktemp("words")
    own.save(str(folder / "tokenizer.json"))
    return WordTokenizer.from_folder(folder, WORDS)


@pytest.fixture(scope="module")
def lm(tokenizer, tmp_path_factory) -> LanguageModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT2Model(GPT2Config()).requires_grad_(False)
    backbone = Backbone(model, trained=False, autocast=False, dropout=True)
    words = model.wte.weight.detach()
    model.set_input_embeddings(torch.nn.Embedding(1, WIDTH).requires_grad_(False))
    cpu = torch.device("cpu")
    return LanguageModel(
        tmp_path_factory.mktemp("gpt2"), backbone, words, tokenizer, cpu, torch.float32
    )


def test_it_is_the_authors_12_layers_of_768_with_dropout_of_a_tenth(lm):
    config = lm.backbone.model.config
    assert (config.n_layer, config.n_head, lm.size, lm.words.shape[0]) == (LAYERS, 12, WIDTH, WORDS)
    assert lm.backbone.positions == POSITIONS
    assert (
        sum(p.numel() for p in lm.backbone.parameters()) + lm.words.numel() == 124_439_808 + WIDTH
    )
    assert lm.backbone.layers is not None
    dropouts = config.attn_pdrop, config.embd_pdrop, config.resid_pdrop
    assert dropouts == (PAPER.backbone.dropout,) * 3


def test_documents_of_the_preset_have_1024_tokens_at_most(tokenizer):
    prompts = Prompts.build(tokenizer)
    refuse_too_long(PAPER.corpus, prompts, POSITIONS, "gpt2")
    for name in ("max_items", "max_words"):
        longer = PAPER.corpus.changed(**{name: getattr(PAPER.corpus, name) + 1})
        with pytest.raises(ConfigError, match=f"setting corpus.{name}"):
            refuse_too_long(longer, prompts, POSITIONS, "gpt2")


def test_both_models_take_a_step_whose_gradients_are_in_the_tables_alone(lm):
    space = TokenSpace(WORDS, len(tiny.HISTORIES), tiny.NUM_ITEMS)
    users, items = (torch.randn(n, WIDTH) * 0.02 for n in (space.num_users, space.num_items))
    recommending = collaborative_llm(lm, PAPER, users, items)
    task = HeldOut(PAPER, space, Prompts.build(lm.tokenizer))
    objective = task.objective(recommending, tiny.interactions(), None)
    [step] = objective.steps(Pass("finetune", 0, len(objective.corpus)))
    [batch] = objective.batches(step)
    objective.losses(batch)["likelihood"].total.backward()
    content = content_llm(lm, PAPER, users, items, torch.arange(9).numpy())
    assert content.head.candidates.shape == (WORDS, WIDTH)
    prompt = task.prompts.item_title.fill(item=[space.item(2)])
    document = tiny.Document(prompt, prompt[1:3])
    words_likelihood(content.train())(collate([document])).total.backward()
    for model in (recommending, content):
        assert {n for n, p in model.named_parameters() if p.grad is not None} <= {
            "embedding.users",
            "embedding.items.weight",
        }
    assert recommending.embedding.users.grad[:3].isfinite().all()
    assert content.embedding.items.weight.grad[2].any()
    assert recommending.logits(recommending.last_queries(batch.prompts)).shape == (5, 7)
