"""The method's objectives at toy size."""

from dataclasses import replace

import torch

from cllm4rec.config import SETS
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.recommendation import RecommendationCorpus
from cllm4rec.tasks.candidates import Candidates
from cllm4rec.tasks.held_out import HeldOutObjective, held_out_likelihood
from cllm4rec.tasks.language import LanguageObjective, items_likelihood, words_likelihood
from cllm4rec.tasks.mutual import Mutual
from support import tiny_models as tiny


def histories() -> CollaborativeCorpus:
    return CollaborativeCorpus(tiny.interactions(), tiny.SPACE, tiny.prompts(), tiny.CORPUS, seed=0)


def both_llms(weight: float, **scale) -> dict[str, LanguageObjective]:
    collaborative = tiny.collaborative_llm()
    content = tiny.content_llm(tiny.TextCorpus.vocabulary())
    return {
        "collaborative": LanguageObjective(
            collaborative,
            histories(),
            items_likelihood(collaborative, tiny.ALL_ITEMS),
            Mutual(collaborative.embedding, content.embedding, weight, **scale),
            batch_tokens=40,
            seed=0,
        ),
        "content": LanguageObjective(
            content,
            tiny.TextCorpus(),
            words_likelihood(content),
            Mutual(content.embedding, collaborative.embedding, weight, **scale),
            batch_tokens=40,
            seed=0,
        ),
    }


def held_out(batch_tokens: int = 10_000, weight: float = 0.5, **scale) -> HeldOutObjective:
    corpus = RecommendationCorpus(
        tiny.interactions(),
        tiny.SPACE,
        tiny.prompts(),
        tiny.CORPUS,
        seed=0,
        holdout=0.6,
        user_token_dropout=0.3,
    )
    model = tiny.collaborative_llm()
    candidates = Candidates.of(SETS.model, tiny.interactions(), torch.device("cpu"))
    return HeldOutObjective(
        model,
        corpus,
        held_out_likelihood(model, candidates),
        Mutual(model.embedding, tiny.embedding(9), weight, **scale),
        batch_users=3,
        batch_tokens=batch_tokens,
        seed=0,
    )


def every(device: str = "cpu") -> dict[str, LanguageObjective | HeldOutObjective]:
    """Each kind of objective, on a device."""
    found = {**both_llms(0.5), "held-out": held_out(batch_tokens=60), "next-item": next_item()}
    for name, objective in found.items():
        model, other = objective.model.to(device), objective.mutual.other
        if other is not None:
            other.to(device)
        all_items = Candidates(tiny.ALL_ITEMS.bias.to(device))
        likelihoods = {
            "collaborative": lambda m=model, out=all_items: items_likelihood(m, out),
            "content": lambda m=model: words_likelihood(m),
            "held-out": lambda m=model, out=all_items: held_out_likelihood(m, out),
            "next-item": lambda m=model, out=all_items: items_likelihood(m, out),
        }
        found[name] = replace(objective, likelihood=likelihoods[name]())
    return found


def next_item() -> LanguageObjective:
    """As finetuning on what comes next has it: no mutual regularisation."""
    model = tiny.collaborative_llm()
    likelihood = items_likelihood(model, tiny.ALL_ITEMS)
    none = Mutual(model.embedding, None, 0.0)
    return LanguageObjective(model, histories(), likelihood, none, batch_tokens=40, seed=0)
