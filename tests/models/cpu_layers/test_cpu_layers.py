"""Llama's and GPT-2's forward passes, written out, against the library's from the same weights."""

import functools
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.models.backbone import Backbone, frozen_copy, load_backbone
from cllm4rec.models.cpu_layers import KVCache
from cllm4rec.models.randomness import seeded
from support.examples import examples
from support.tiny_backbone import SIZE, write_tiny_gpt2, write_tiny_llama
from support.toy_run import PLAIN

WRITERS = {"llama": write_tiny_llama, "gpt2": write_tiny_gpt2}
TRAINED = {"llama": 3 * 9 + 1, "gpt2": 3 * 12 + 3}
"""Parameters of three layers and the final norm, and of GPT-2's positions."""


@pytest.fixture(scope="module", params=WRITERS)
def folder(request, tmp_path_factory):
    return WRITERS[request.param](tmp_path_factory.mktemp(request.param), layers=3)


def load(folder, **changes) -> tuple[Backbone, torch.Tensor]:
    """A backbone whose norm weights are not all one, nor its biases zero."""
    config = PLAIN.backbone.changed(**{"depth": "all", "dtype": "float32", **changes})
    backbone, words = load_backbone(folder, config, seed=0)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in backbone.model.named_parameters():
            if "norm" in name or "ln_" in name:
                parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator))
            elif name.endswith("bias"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return backbone, words


loaded = functools.cache(load)
"""The same once more, for tests with many examples that change nothing."""


def by_the_library(backbone: Backbone) -> Backbone:
    plain = Backbone(backbone.model, trained=backbone.trained, autocast=backbone.autocast)
    plain.layers = None
    return plain


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.sampled_from(["frozen", "full"]),
    st.booleans(),
    st.sampled_from([0, 32]),
)
@examples(30)
def test_hidden_states_and_gradients_are_the_librarys(folder, lengths, mode, only_last, few):
    backbone, _ = loaded(folder, mode=mode)
    assert backbone.layers is not None
    generator = torch.Generator().manual_seed(len(lengths))
    embedded = torch.randn(len(lengths), max(lengths), SIZE, generator=generator)
    pull = torch.randn(len(lengths), max(lengths), SIZE, generator=generator)
    is_real = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    pull[~is_real] = 0
    found = []
    for variant in (backbone, by_the_library(backbone)):
        given_in = embedded.clone().requires_grad_()
        variant.zero_grad()
        sizes = torch.tensor(lengths)
        with (
            patch("cllm4rec.models.cpu_layers.packed.FEW", few),
            patch("cllm4rec.models.cpu_layers.fused.FEW", few),
        ):
            hidden = variant.last(given_in, sizes) if only_last else variant(given_in, sizes)
        (hidden * (pull[:, 0] if only_last else pull)).sum().backward()
        weights = [p.grad.clone() for p in variant.parameters() if p.grad is not None]
        kept = hidden if only_last else hidden[is_real]
        found.append((kept.detach(), given_in.grad, weights))
    ours, theirs = found
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-3, atol=1e-5)
    expected = 0 if mode == "frozen" else TRAINED[backbone.model.config.model_type]
    assert len(ours[2]) == len(theirs[2]) == expected
    for mine, its in zip(ours[2], theirs[2], strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-4)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
@examples(30)
def test_a_document_extended_piece_by_piece_is_a_document_read_at_once(folder, pieces):
    backbone, _ = loaded(folder)
    generator = torch.Generator().manual_seed(sum(pieces))
    embedded = torch.randn(sum(pieces), SIZE, generator=generator)
    wanted = by_the_library(backbone)(embedded[None])[0]
    cache, read = KVCache(), 0
    with torch.no_grad():
        for piece in pieces:
            state = backbone.layers.extend(embedded[read : read + piece], cache)
            read += piece
            assert cache.tokens == read
            torch.testing.assert_close(state, wanted[read - 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("writer", [write_tiny_llama, write_tiny_gpt2])
def test_the_last_position_alone_is_the_same_as_among_all(writer, tmp_path):
    backbone, words = load(writer(tmp_path))
    lengths = torch.tensor([4, 1, 6])
    embedded = words[torch.arange(18).reshape(3, 6)]
    with torch.no_grad():
        everywhere = backbone(embedded)[torch.arange(3), lengths - 1]
        torch.testing.assert_close(backbone.last(embedded, lengths), everywhere)


def test_bfloat16_stays_near_the_librarys(folder):
    exact, words = load(folder)
    half, _ = load(folder, dtype="bfloat16")
    embedded = words[torch.arange(24).reshape(2, 12)]
    with torch.no_grad():
        expected = exact(embedded)
        ours = (half(embedded) - expected).norm()
        theirs = (by_the_library(half)(embedded) - expected).norm()
    assert ours <= 2 * theirs < 0.05 * expected.norm()


def test_weights_that_change_are_seen_at_once(folder):
    backbone, words = load(folder, mode="full")
    embedded = words[torch.arange(5).unsqueeze(0)]
    with torch.no_grad():
        before = backbone(embedded)
        assert torch.equal(backbone(embedded), before)
        for parameter in backbone.parameters():
            parameter.mul_(1.5)
        after = backbone(embedded)
        torch.testing.assert_close(after, by_the_library(backbone)(embedded))
    assert not torch.allclose(before, after)


def test_what_is_too_long_to_materialise_goes_through_the_library(folder, monkeypatch):
    backbone, words = load(folder)
    embedded = words[torch.arange(6).unsqueeze(0)]
    with torch.no_grad():
        short = backbone(embedded)
        monkeypatch.setattr("cllm4rec.models.backbone.LONGEST", 5)
        monkeypatch.setattr(backbone.layers, "forward", None)
        torch.testing.assert_close(backbone(embedded), short)


class TestDropout:
    """In training, where the library has it; elsewhere none."""

    def states(
        self, backbone: Backbone, seed: int, *, only_last: bool, copies: int = 1
    ) -> torch.Tensor:
        """Of copies of two documents, the second shorter: ``[copies, states, size]``."""
        embedded = torch.randn(2, 6, SIZE, generator=torch.Generator().manual_seed(1))
        embedded, lengths = embedded.repeat(copies, 1, 1), torch.tensor([6, 3]).repeat(copies)
        with torch.no_grad(), seeded(seed):
            if only_last:
                return backbone.last(embedded, lengths).view(copies, 2, SIZE)
            hidden = backbone(embedded, lengths).view(copies, 12, SIZE)
            return hidden[:, :9]

    @pytest.mark.parametrize("only_last", [False, True])
    def test_it_is_distributed_as_the_librarys(self, folder, only_last):
        backbone, _ = load(folder, dropout=0.3)
        library = by_the_library(backbone)
        library.dropout = True
        both = [
            self.states(variant, 0, only_last=only_last, copies=600)
            for variant in (backbone.train(), library.train())
        ]
        (ours, theirs), (our_var, their_var) = zip(
            *((x.mean(0), x.var(0)) for x in both), strict=True
        )
        # Without the dropout of one place it would be off by 0.1 and more.
        assert float(our_var.sum() / their_var.sum()) == pytest.approx(1, abs=0.05)
        standard_errors = ((our_var + their_var) / 600).sqrt().clamp_min(1e-6)
        distances = ((ours - theirs) / standard_errors).abs()
        assert float(distances.max()) < 6
        assert float(distances.square().mean()) == pytest.approx(1, abs=0.5)

    @pytest.mark.parametrize("only_last", [False, True])
    def test_it_is_a_function_of_the_seed_and_of_training(self, folder, only_last):
        still, dropping = load(folder)[0], load(folder, dropout=0.3)[0]
        whole = self.states(still.train(), 0, only_last=only_last)
        assert torch.equal(self.states(dropping.eval(), 0, only_last=only_last), whole)
        first = self.states(dropping.train(), 0, only_last=only_last)
        assert not torch.allclose(first, whole)
        assert torch.equal(self.states(dropping, 0, only_last=only_last), first)
        assert not torch.allclose(self.states(dropping, 1, only_last=only_last), first)

    def test_a_frozen_copy_has_it_too(self, folder):
        copied = frozen_copy(load(folder, mode="full", dropout=0.3)[0])
        assert copied.train().model.training
        assert not frozen_copy(load(folder, mode="full")[0]).train().model.training
