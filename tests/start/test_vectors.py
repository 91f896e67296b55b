import numpy as np
import pytest
import torch

from cllm4rec.start.vectors import history_means, noise, random_rotation, word_means

WORDS = torch.randn(50, 16, generator=torch.Generator().manual_seed(0)) * 0.1


def test_noise_has_a_seventh_of_the_words_scale_and_repeats():
    table = noise(400, WORDS, seed=1)
    assert abs(float(table.std() / WORDS.std()) * 7 - 1) < 0.05
    assert torch.equal(table, noise(400, WORDS, seed=1))
    assert not torch.equal(table, noise(400, WORDS, seed=2))


def test_word_means_and_noise_where_there_is_no_text():
    table = word_means([[3, 3, 5], []], WORDS, seed=0)
    torch.testing.assert_close(table[0], (2 * WORDS[3] + WORDS[5]) / 3)
    assert table[1].norm() > 0


def test_turning_keeps_every_product_and_takes_the_words_norm():
    factors = np.random.default_rng(0).normal(size=(20, 11)).astype(np.float32)
    table = random_rotation(factors, WORDS, seed=0)
    torch.testing.assert_close(table.norm(dim=1).mean(), WORDS.norm(dim=1).mean())
    scale = float(table.norm() / np.linalg.norm(factors))
    expected = torch.from_numpy(factors @ factors.T) * scale**2
    torch.testing.assert_close(table @ table.T, expected, rtol=1e-3, atol=1e-6)


def test_more_factors_than_the_width_are_refused():
    with pytest.raises(ValueError, match="17 factors for a width of 16"):
        random_rotation(np.zeros((3, 17), dtype=np.float32), WORDS, seed=0)


def test_a_user_starts_as_the_mean_of_the_history():
    items = torch.arange(8.0).reshape(4, 2)
    users = history_means(items, np.array([0, 2, 2]), np.array([1, 3], dtype=np.int32))
    assert users.tolist() == [[4.0, 5.0], [0.0, 0.0]]
