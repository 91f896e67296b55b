"""The written-out parts of a Llama layer, against finite differences and plain formulas."""

import functools
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from cllm4rec.models.cpu_layers.fused import causal_attention, rms_norm, rotate, swiglu
from cllm4rec.models.randomness import seeded

FEW_OR_MANY = [0, 32]
"""Filled up to few shapes in batches of so many documents: in none here, and in all."""


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def angles(length: int, half: int) -> tuple[torch.Tensor, torch.Tensor]:
    angle = torch.arange(length).double().unsqueeze(1) * torch.linspace(1.0, 0.1, half).double()
    return angle.cos(), angle.sin()


def attention_one_by_one(qkv, cos, sin, heads, groups):
    """Every position and head on its own, as the formula says."""
    batch, length, _ = qkv.shape
    half = cos.shape[1]
    size = 2 * half

    def turned(vector, position):
        c, s = cos[position], sin[position]
        first, second = vector[:half], vector[half:]
        return torch.cat([first * c - second * s, second * c + first * s])

    out = torch.zeros(batch, length, heads * groups * size, dtype=qkv.dtype)
    for b in range(batch):
        for h in range(heads * groups):
            shared = heads * groups * size + h // groups * size
            for t in range(length):
                q = turned(qkv[b, t, h * size : (h + 1) * size], t)
                keys = [turned(qkv[b, j, shared : shared + size], j) for j in range(t + 1)]
                scores = torch.stack([q @ key / size**0.5 for key in keys])
                values = qkv[b, : t + 1, shared + heads * size : shared + heads * size + size]
                out[b, t, h * size : (h + 1) * size] = torch.softmax(scores, 0) @ values
    return out


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.integers(1, 2),
    st.integers(1, 3),
    st.sampled_from(FEW_OR_MANY),
)
def test_attention_equals_the_formula_at_every_position(lengths, heads, groups, few):
    tokens = sum(lengths)
    qkv = numbers(tokens + 3, heads * (groups + 2) * 4, seed=tokens).detach()
    cos, sin = angles(max(lengths), 2)
    with patch("cllm4rec.models.cpu_layers.fused.FEW", few):
        found = causal_attention(qkv, lengths, cos, sin, heads, groups)
    start = 0
    for length in lengths:
        document = slice(start, start + length)
        expected = attention_one_by_one(qkv[None, document], cos, sin, heads, groups)[0]
        torch.testing.assert_close(found[document], expected)
        start += length
    assert not found[start:].any()


@pytest.mark.parametrize("few", FEW_OR_MANY)
def test_gradients_are_those_of_finite_differences(few, monkeypatch):
    monkeypatch.setattr("cllm4rec.models.cpu_layers.fused.FEW", few)
    cos, sin = angles(5, 2)
    assert gradcheck(lambda x: rms_norm(x, 1e-2), numbers(3, 4))
    assert gradcheck(swiglu, (numbers(3, 4), numbers(3, 4, seed=1)))
    for lengths in ([5, 5], [5, 4, 1], [1, 5, 2]):  # one run without and with padding; several
        packed = numbers(sum(lengths) + 1, 40)
        attention = functools.partial(
            causal_attention, lengths=lengths, cos=cos, sin=sin, heads=2, groups=3
        )
        # Along drawn directions: each entry of the Jacobian by itself takes seconds.
        assert gradcheck(attention, packed, fast_mode=True)


def seeded_attention(qkv, lengths, seed=0, dropout=0.4):
    """Of one key head for two query heads."""
    cos, sin = angles(max(lengths), 2)
    with seeded(seed):
        return causal_attention(qkv, lengths, cos, sin, 1, 2, dropout)


@pytest.mark.parametrize("few", FEW_OR_MANY)
def test_gradients_with_dropout_are_those_of_finite_differences(few, monkeypatch):
    monkeypatch.setattr("cllm4rec.models.cpu_layers.fused.FEW", few)
    for lengths in ([4, 4], [4, 3, 1]):
        packed = numbers(sum(lengths) + 1, 16)
        assert gradcheck(lambda x, n=lengths: seeded_attention(x, n), packed)


def test_dropout_leaves_out_weights_and_makes_up_for_them():
    """With the unit vectors as values, a row of the output is a row of attention weights."""
    qkv = numbers(4, 16).detach()
    qkv[:, 12:] = torch.eye(4)
    whole = seeded_attention(qkv, [4], dropout=0.0).view(4, 2, 4)
    drawn = torch.stack([seeded_attention(qkv, [4], seed).view(4, 2, 4) for seed in range(500)])
    visible = torch.ones(4, 4).tril().bool().unsqueeze(1).expand(4, 2, 4)
    gone = drawn == 0
    assert gone[:, ~visible].all()
    torch.testing.assert_close(
        torch.where(gone, 0, drawn), torch.where(gone, 0, whole / 0.6).expand_as(drawn)
    )
    # 10,000 draws: a standard deviation of 0.5 %.
    assert float(gone[:, visible].double().mean()) == pytest.approx(0.4, abs=0.025)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rms_norm_is_torchs(dtype):
    x = numbers(7, 32).detach().to(dtype)
    expected = torch.nn.functional.rms_norm(x.double(), (32,), eps=1e-5)
    torch.testing.assert_close(rms_norm(x, 1e-5).double(), expected, rtol=2e-2, atol=1e-3)
    if dtype == torch.float32:
        torch.testing.assert_close(rms_norm(x, 1e-5).double(), expected, rtol=1e-5, atol=1e-6)


def test_a_rotation_is_undone_by_its_transpose():
    x = numbers(2, 3, 6, 8).detach()
    cos, sin = angles(6, 4)
    there = rotate(x, cos, sin, torch.empty_like(x))
    torch.testing.assert_close(rotate(there, cos, -sin, torch.empty_like(x)), x)
    torch.testing.assert_close(there.norm(dim=-1), x.norm(dim=-1))


def test_a_row_is_not_scaled_wrongly_as_a_whole_in_bfloat16():
    # Far from 1: a factor just above it gives back every bfloat16 number as it was.
    x = (1.37 * numbers(200, 576).detach()).bfloat16()
    exact = torch.nn.functional.rms_norm(x.double(), (576,), eps=1e-5)
    found = rms_norm(x, 1e-5).double()
    # The factor of each row: rounded to bfloat16 it would be off by up to 0.4 %.
    factor = (found * exact).sum(dim=1) / exact.square().sum(dim=1)
    assert (factor - 1).abs().mean() < 5e-4
