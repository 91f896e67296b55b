import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix

from cllm4rec.linear.sparse_arrays import arrays_of, matrix_of


@given(st.integers(0, 5), st.integers(1, 5), st.integers(0, 99), st.sampled_from(["", "new."]))
def test_a_matrix_comes_back_from_its_arrays(rows, columns, seed, prefix):
    rng = np.random.default_rng(seed)
    dense = (rng.random((rows, columns)) * (rng.random((rows, columns)) < 0.4)).astype(np.float32)
    for kind in (csr_matrix, csr_array):
        arrays = arrays_of(kind(dense), prefix)
        assert set(arrays) == {f"{prefix}{part}" for part in ("data", "indices", "indptr")}
        found = matrix_of({**arrays, "others": rng.random(3)}, dense.shape, prefix)
        np.testing.assert_array_equal(found.toarray(), dense)
        assert found.dtype == np.float32
