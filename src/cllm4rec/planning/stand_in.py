"""A backbone of given widths with random weights, which stands in where only speed matters."""

from collections.abc import Sequence
from pathlib import Path

from cllm4rec.documents.prompts import HISTORY, RECOMMENDATION
from cllm4rec.models.backbone import quiet_transformers
from cllm4rec.planning.flops import Shape
from cllm4rec.planning.size import Model

HEAD = 64
"""Width of an attention head."""


def stand_in(depth: int, heads: int = 9, words: int = 49_152) -> Model:
    """The proportions of SmolLM2-135M, which has nine query heads; a multiple of three."""
    size = HEAD * heads
    return Model(Shape(depth, size, size, size // 3, size * 8 // 3, gated=True), words)


def write_stand_in(folder: Path, model: Model, words: Sequence[str] = ()) -> Path:
    """Write a Llama of these widths, and a tokenizer of the prompts' words and of others."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = model.shape
    config = LlamaConfig(
        vocab_size=model.words,
        hidden_size=shape.size,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.queries // HEAD,
        num_key_value_heads=shape.keys // HEAD,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    with quiet_transformers():
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    # A word of k letters needs at most k - 1 tokens on the way to its own.
    size = min(model.words, 1000 + sum(map(len, words)))
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    texts = (f" {word}" for word in words)
    tokenizer.train_from_iterator([HISTORY, RECOMMENDATION, *texts], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
