"""What finetuning minimises: about held-out items, or about the next one."""

from torch import Tensor

from cllm4rec.assembly import SAMPLE, Assembly, standardise
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.recommendation import RecommendationCorpus
from cllm4rec.models.llms import RecLLM
from cllm4rec.seeds import derived_seed
from cllm4rec.training.language import LanguageObjective
from cllm4rec.training.recommendation import FinetuneObjective


def held_out_items(assembly: Assembly, model: RecLLM, content: Tensor | None) -> FinetuneObjective:
    """Held-out items after masked histories (paper section 3.4)."""
    config, seed = assembly.config.finetune, finetune_seed(assembly)
    corpus = RecommendationCorpus(
        assembly.dataset.part("train"),
        assembly.space,
        assembly.prompts,
        assembly.config.corpus,
        seed,
        holdout=config.holdout,
        user_token_dropout=config.user_token_dropout,
    )
    sample = range(min(len(corpus), SAMPLE))
    standardise(model, [corpus.example(index, 0).document for index in sample])
    return FinetuneObjective(
        model,
        corpus,
        content,
        mutual_weight=config.mutual_weight,
        batch_users=config.batch_users,
        batch_tokens=config.batch_tokens,
        seed=seed,
    )


def next_items(assembly: Assembly, model: RecLLM, content: Tensor | None) -> LanguageObjective:
    """The next item at every position of a history: the L-step's loss, without pretraining's end.

    One pass over a history is as many predictions as it has items, and the question is the one
    asked at recommendation time.
    """
    config, seed = assembly.config.finetune, finetune_seed(assembly)
    corpus = CollaborativeCorpus(
        assembly.dataset.part("train"),
        assembly.space,
        assembly.prompts,
        assembly.config.corpus,
        seed,
        user_token_dropout=config.user_token_dropout,
    )
    sample = range(min(len(corpus), SAMPLE))
    standardise(model, [corpus.document(index, 0) for index in sample])
    return LanguageObjective(
        model,
        corpus,
        content,
        mutual_weight=config.mutual_weight,
        batch_tokens=config.batch_tokens,
        seed=seed,
    )


def finetune_seed(assembly: Assembly) -> int:
    """Of masks, order, batches and dropout."""
    return derived_seed(assembly.config.seed, "finetune")
