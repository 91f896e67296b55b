"""The authors' training path, slow as it is, with the method's mistakes mended but not its speed.

After yaochenzhu/LLM4Rec (`src/libs/model.py`, `src/training.py`, `src/finetuning.py`), written
anew: a GPT-2 in float32 with eager attention and dropout, all of it frozen; users and items as two
dense tables looked up for every token and masked; documents in batches of 20 in the order in which
they come, padded to the batch's longest; logits at every position; Adam over both whole tables; the
regulariser, a sum of squares over the padded embeddings of every token, looked up once more.

What is mended, so that the loss is the method's and can be compared: the first main-text token is
predicted too, and the target of finetuning, regularised as well, is what was held out. The sum of
the regulariser is over a batch of 20 documents, and scaled to 20 where there are fewer. None of it
costs or saves time that could be noticed. Two things are in the authors' favour: prompt and main
text take one pass, not two, and documents come as token ids, where their code tokenises texts at
every step.

``joint`` asks for logits over the whole extended vocabulary, words, users and items, as a GPT-2
with a resized vocabulary would give; the authors' code has heads of items and of words alone.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2Config, GPT2Model

BATCH = 20
"""Documents of one step."""
PADDING = 0


def random_gpt2(words: int, layers: int, width: int) -> GPT2Model:
    """A GPT-2 of random weights, always the same ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        heads = max(1, width // 64)
        config = GPT2Config(
            vocab_size=words,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            bos_token_id=0,
            eos_token_id=0,
        )
        return GPT2Model(config)


class AuthorsModel(nn.Module):
    """A frozen GPT-2 with trained tables of users and items; heads tied to the tables.

    Args:
        gpt2: a ``GPT2Model`` in float32; its word embeddings are the content head.
        users: initial rows, ``[users, size]``.
        items: initial rows, ``[items, size]``.
        joint: logits over words, users and items instead of one kind.
    """

    def __init__(self, gpt2, users, items, *, joint: bool = False) -> None:
        super().__init__()
        self.gpt2 = gpt2.requires_grad_(False)
        self.users = nn.Embedding.from_pretrained(users.clone(), freeze=False)
        self.items = nn.Embedding.from_pretrained(items.clone(), freeze=False)
        self.joint = joint
        self.num_words = gpt2.wte.weight.shape[0]

    def embed(self, tokens):
        """Three lookups for every token, two of which are thrown away."""
        first_item = self.num_words + self.users.num_embeddings
        is_word = tokens < self.num_words
        is_item = tokens >= first_item
        is_user = ~is_word & ~is_item
        words = self.gpt2.wte(tokens * is_word)
        users = self.users((tokens - self.num_words) * is_user)
        items = self.items((tokens - first_item) * is_item)
        return (
            words * is_word.unsqueeze(-1)
            + users * is_user.unsqueeze(-1)
            + items * is_item.unsqueeze(-1)
        )

    def hidden(self, tokens, mask):
        return self.gpt2(inputs_embeds=self.embed(tokens), attention_mask=mask).last_hidden_state

    def first(self, kind: str) -> int:
        """Token of the first candidate."""
        if kind == "words" or self.joint:
            return 0
        return self.num_words + self.users.num_embeddings

    def logits(self, hidden, kind: str):
        """Over the items or the words; ``joint``: over everything, the other kinds ruled out."""
        heads = {"words": self.gpt2.wte.weight, "items": self.items.weight}
        if not self.joint:
            return hidden @ heads[kind].T
        table = torch.cat([self.gpt2.wte.weight, self.users.weight, self.items.weight])
        allowed = torch.full((len(table),), -torch.inf)
        start = 0 if kind == "words" else self.num_words + self.users.num_embeddings
        allowed[start : start + len(heads[kind])] = 0.0
        return hidden @ table.T + allowed


def pad(sequences):
    """Token ids ``[documents, longest]`` and their mask."""
    length = max(map(len, sequences))
    tokens = torch.full((len(sequences), length), PADDING)
    mask = torch.zeros(len(sequences), length, dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return tokens, mask


def language_loss(model, documents, kind: str, other, weight: float):
    """Mean loss of the main texts' tokens, and the regulariser: one L- or C-step's objective.

    Args:
        model: whose tables are trained.
        documents: with ``prompt`` and ``main``, token ids.
        kind: ``items`` or ``words``, what the main texts are made of.
        other: the other side's model.
        weight: λ.
    """
    sequences = [[*d.prompt.tolist(), *d.main.tolist()] for d in documents]
    tokens, mask = pad(sequences)
    logits = model.logits(model.hidden(tokens, mask), kind)
    starts = torch.tensor([len(document.prompt) for document in documents]).unsqueeze(1)
    active = (torch.arange(tokens.shape[1]) >= starts) & (mask == 1)
    targets = tokens[:, 1:][active[:, 1:]] - model.first(kind)
    loss = F.cross_entropy(logits[:, :-1][active[:, 1:]], targets)
    return loss + weight * regulariser(model, other, tokens)


def finetuning_loss(model, documents, holdouts, other, weight: float):
    """Multinomial loss over dense rows of scores, one per user, and the regulariser."""
    tokens, mask = pad([document.prompt.tolist() for document in documents])
    hidden = model.hidden(tokens, mask)
    last = torch.stack([hidden[row, end] for row, end in enumerate(mask.sum(dim=1) - 1)])
    log_p = F.log_softmax(model.logits(last, "items"), dim=-1)
    target = torch.zeros_like(log_p)
    first = model.num_words + model.users.num_embeddings
    for row, holdout in enumerate(holdouts):
        target[row, torch.from_numpy(holdout + first - model.first("items")).long()] = 1.0
    if model.joint:
        log_p = log_p.masked_fill(target == 0, 0.0)  # minus infinity times zero
    loss = -(log_p * target).sum(dim=1).mean()
    mains, _ = pad([(holdout + first).tolist() for holdout in holdouts])
    return loss + weight * regulariser(model, other, torch.cat([tokens, mains], dim=1))


def regulariser(model, other, tokens):
    """Summed squares of all embeddings' differences, words and padding included."""
    own = model.embed(tokens)
    with torch.no_grad():
        others = other.embed(tokens)
    return F.mse_loss(own, others, reduction="sum") * (BATCH / len(tokens))


def adam(model, learning_rate: float):
    """Adam over both tables, every row at every step."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(trained, lr=learning_rate)


def step(optimizer, loss) -> float:
    """One update; ``loss`` is called for the value to be minimised."""
    optimizer.zero_grad()
    value = loss()
    value.backward()
    optimizer.step()
    return float(value.detach())
