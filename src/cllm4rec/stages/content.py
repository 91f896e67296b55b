"""C-steps: the content LLM on its documents, in pretraining and beside finetuning."""

from torch import Tensor

from cllm4rec.documents.content import ContentCorpus, build_content_corpus
from cllm4rec.models.build import content_llm
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.stages.setup import Setup
from cllm4rec.tasks.language import LanguageObjective, words_likelihood
from cllm4rec.tasks.mutual import Mutual


def content_objective(
    setup: Setup,
    tables: tuple[Tensor, Tensor] | None,
    collaborative: TokenEmbedding,
    *,
    mutual_weight: float,
    batch_documents: int,
    batch_tokens: int,
    seed: int,
) -> LanguageObjective | None:
    """The objective of C-steps; writes the documents into the run.

    Args:
        setup: loaded inputs.
        tables: z^c of users and items at the start; None without texts.
        collaborative: z^l, fixed within a step.
        mutual_weight: λ_c.
        batch_documents: see `LanguageObjective`.
        batch_tokens: see `LanguageObjective`.
        seed: of order and batches.

    Returns:
        None without documents.
    """
    if tables is None:
        return None
    config = setup.config
    folder = setup.run.file("corpus")

    def build() -> None:
        task, given = setup.task, config.corpus
        build_content_corpus(
            setup.dataset.texts, task.space, setup.lm.tokenizer, task.prompts, given, folder
        )

    setup.world.of_main(build)
    corpus = ContentCorpus.open(folder)
    if not len(corpus):
        return None
    model = content_llm(setup.lm, config, *tables, corpus.vocabulary())
    return LanguageObjective(
        model,
        corpus,
        words_likelihood(model),
        Mutual.of(
            config.model, model.embedding, collaborative, mutual_weight, is_collaborative=False
        ),
        batch_documents=batch_documents,
        batch_tokens=batch_tokens,
        seed=seed,
    )
