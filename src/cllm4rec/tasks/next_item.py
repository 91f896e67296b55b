"""The next item at every position of a history in time order."""

from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.document import Document
from cllm4rec.documents.prompts import Prompt
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.tasks.base import SAMPLE, States, Task
from cllm4rec.tasks.candidates import Candidates
from cllm4rec.tasks.language import LanguageObjective, items_likelihood
from cllm4rec.tokens.space import NOBODY


class NextItem(Task):
    """Predict every item of a history from those before it; recommend by predicting the next.

    ``<user> has interacted with <item> <item> …``; a history of n items gives n predictions.
    """

    placeholder = NOBODY
    extends = True

    @property
    def question(self) -> Prompt:
        """The history prompt followed by the history."""
        return Prompt((*self.prompts.history.parts, "items"))

    def corpus(self, histories: Interactions) -> CollaborativeCorpus:
        """One document per user with at least one item."""
        return CollaborativeCorpus(
            histories,
            self.space,
            self.prompts,
            self.config.corpus,
            self.seed,
            user_token_dropout=self.config.finetune.user_token_dropout,
            words=self.words,
        )

    def objective(
        self, model: CollaborativeLLM, histories: Interactions, content: TokenEmbedding | None
    ) -> LanguageObjective:
        """Next-item likelihood at every position, with mutual regularisation."""
        config = self.config.finetune
        return LanguageObjective(
            model,
            self.corpus(histories),
            items_likelihood(model, Candidates.of(self.config.model, histories, model.device)),
            self.mutual(model, content),
            batch_tokens=config.batch_tokens,
            seed=self.seed,
        )

    def sample(self, histories: Interactions) -> list[Document]:
        """Histories of the first users."""
        corpus = self.corpus(histories)
        return [corpus.document(index, 0) for index in range(min(len(corpus), SAMPLE))]

    def sample_states(self, model: CollaborativeLLM) -> States:
        """Hidden states before every item."""
        return model.states
