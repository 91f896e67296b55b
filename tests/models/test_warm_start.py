import numpy as np
import torch

from cllm4rec.models.warm_start import history_means, noise, orthogonal_subspaces, word_means

WORDS = torch.randn(50, 16, generator=torch.Generator().manual_seed(0)) * 0.1


def test_noise_has_the_words_scale_and_repeats():
    table = noise(400, WORDS, seed=1)
    assert abs(float(table.std() / WORDS.std()) - 1) < 0.05
    assert torch.equal(table, noise(400, WORDS, seed=1))
    assert not torch.equal(table, noise(400, WORDS, seed=2))


def test_word_means_and_noise_where_there_is_no_text():
    table = word_means([[3, 3, 5], []], WORDS, seed=0)
    torch.testing.assert_close(table[0], (2 * WORDS[3] + WORDS[5]) / 3)
    assert table[1].norm() > 0


def test_the_subspaces_stay_orthogonal_and_keep_their_products():
    rng = np.random.default_rng(0)
    collaborative = rng.normal(size=(20, 6)).astype(np.float32)
    content = rng.normal(size=(20, 5)).astype(np.float32)
    both = orthogonal_subspaces(collaborative, content, WORDS, seed=0)
    first = orthogonal_subspaces(collaborative, 0 * content, WORDS, seed=0)
    second = orthogonal_subspaces(0 * collaborative, content, WORDS, seed=0)
    scale = (first.norm() / np.linalg.norm(collaborative), second.norm() / np.linalg.norm(content))
    assert (first @ second.T).abs().max() < 1e-5 * scale[0] * scale[1] * 100
    cosine = np.corrcoef(
        (both @ both.T).flatten(), (collaborative @ collaborative.T + content @ content.T).flatten()
    )
    assert cosine[0, 1] > 0.9999
    torch.testing.assert_close(both.norm(dim=1).mean(), WORDS.norm(dim=1).mean())


def test_a_user_starts_as_the_mean_of_the_history():
    items = torch.arange(8.0).reshape(4, 2)
    users = history_means(items, np.array([0, 2, 2]), np.array([1, 3], dtype=np.int32))
    assert users.tolist() == [[4.0, 5.0], [0.0, 0.0]]
