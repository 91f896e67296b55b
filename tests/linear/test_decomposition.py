import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from cllm4rec.linear import decomposition
from cllm4rec.linear.decomposition import row_factors


def sparse(rows: int, columns: int) -> csr_matrix:
    drawn = random_array((rows, columns), density=0.3, rng=np.random.default_rng(0))
    return csr_matrix(drawn.astype(np.float32))


@pytest.fixture(params=["exact", "random"])
def method(request, monkeypatch):
    if request.param == "random":
        monkeypatch.setattr(decomposition, "EXACT_ROWS", 0)
    return request.param


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (12, 1)])
def test_factors_are_singular_vectors_scaled_by_the_root(method, shape):
    matrix = sparse(*shape)
    left, lengths, _ = np.linalg.svd(matrix.toarray())
    wanted = left[:, : len(lengths)][:, :5] * np.sqrt(lengths[:5])
    found = row_factors(matrix, 5, seed=0)
    assert found.dtype == np.float32
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found * signs, wanted, atol=1e-4)


def test_all_factors_rebuild_the_gram_matrix_root(method):
    matrix = sparse(8, 40)
    factors = row_factors(matrix, 100, seed=0).astype(np.float64)
    assert factors.shape == (8, 8)
    # (F Fᵀ)² = (U S Uᵀ)² = M Mᵀ
    rebuilt = np.linalg.matrix_power(factors @ factors.T, 2)
    np.testing.assert_allclose(rebuilt, (matrix @ matrix.T).toarray(), atol=1e-4)


def test_no_more_directions_than_the_rank(method):
    one = np.outer(np.arange(6), np.ones(9))
    factors = row_factors(csr_matrix(one), 4, seed=0)
    assert factors.shape == (6, 1)
    assert factors[0].tolist() == [0.0]


def test_an_empty_row_stays_exactly_zero(method):
    matrix = sparse(10, 20).tolil()
    matrix[3] = 0
    assert not row_factors(matrix.tocsr(), 4, seed=0)[3].any()


@pytest.mark.parametrize("shape", [(3, 0), (3, 5), (0, 5)])
def test_an_empty_matrix_has_no_factors(shape):
    assert row_factors(csr_matrix(shape), 4, seed=0).shape == (shape[0], 0)


def test_the_same_seed_gives_the_same_bytes(method):
    matrix = sparse(20, 20)
    first, second = (row_factors(matrix, 3, seed=2**40) for _ in range(2))
    assert first.tobytes() == second.tobytes()
