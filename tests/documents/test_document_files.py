import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.documents.document_files import NAMES, DocumentWriter, open_arrays

NUM_WORDS = 40
tokens = st.lists(st.integers(0, NUM_WORDS - 1), max_size=6)


def write(folder, documents):
    folder.mkdir(exist_ok=True)
    with DocumentWriter(folder, NUM_WORDS) as writer:
        for prompt, main in documents:
            writer.add(np.array(prompt, np.int32), np.array(main, np.int32))
        writer.finish()
    return folder


@given(st.lists(st.tuples(tokens, tokens), max_size=8))
def test_the_arrays_are_those_of_the_documents(tmp_path_factory, documents):
    folder = write(tmp_path_factory.getbasetemp() / "arrays", documents)
    flat, offsets, prompt_lengths, vocabulary = (array.tolist() for array in open_arrays(folder))
    assert flat == [token for prompt, main in documents for token in prompt + main]
    assert offsets == [sum(len(p) + len(m) for p, m in documents[:i]) for i in range(len(offsets))]
    assert prompt_lengths == [len(prompt) for prompt, _ in documents]
    assert vocabulary == sorted({token for _, main in documents for token in main})


def test_the_files_are_plain_memory_mapped_arrays_and_nothing_else_is_left(tmp_path):
    folder = write(tmp_path, [([1, 2], [3])])
    assert {path.name for path in folder.iterdir()} == {f"{name}.npy" for name in NAMES}
    arrays = open_arrays(folder)
    assert [str(array.dtype) for array in arrays] == ["int32", "int64", "int32", "int32"]
    assert all(isinstance(array, np.memmap) for array in arrays)
    assert np.load(folder / "tokens.npy", allow_pickle=False).tolist() == [1, 2, 3]


def test_a_main_text_holds_words_only_and_a_failure_leaves_no_raw_tokens(tmp_path):
    with pytest.raises(IndexError):
        write(tmp_path, [([1], [2]), ([1], [NUM_WORDS])])
    assert list(tmp_path.iterdir()) == []
