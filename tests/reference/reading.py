"""Slow, independent version of reading texts: one at a time, by the library's own model."""

import torch
from tokenizers import Tokenizer
from transformers import AutoModel


def read(
    texts, folder, depth: int, pooling: str, max_words: int, *, echo: bool
) -> list[list[float]]:
    """Mean or last hidden state of each text's first ``max_words`` tokens, final norm included.

    With ``echo`` the text, `` .`` and the text again; only the states of the second are meant.
    """
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    final = getattr(model, "norm", None) or model.ln_f
    states = []
    layer = getattr(model, "layers", None) or model.h
    layer[depth - 1].register_forward_hook(
        lambda _module, _inputs, output: states.append(
            output[0] if isinstance(output, tuple) else output
        )
    )
    found = []
    for text in texts:
        tokens = tokenizer.encode(" " + " ".join(text.split())).ids[:max_words]
        if not text.split():
            found.append([0.0] * model.config.hidden_size)
            continue
        before = [*tokens, *tokenizer.encode(" .").ids] if echo else []
        with torch.no_grad():
            model(input_ids=torch.tensor([before + tokens]))
            state = final(states.pop()).reshape(len(before + tokens), -1)[len(before) :]
        total = [sum(column) for column in zip(*state.tolist(), strict=True)]
        mean = [value / len(tokens) for value in total]
        found.append(mean if pooling == "mean" else state[-1].tolist())
    return found
