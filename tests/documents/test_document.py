import dataclasses

import numpy as np
import pytest

from cllm4rec.documents.document import NO_TOKENS, Document


def test_a_documents_length_is_prompt_and_main_text():
    assert len(Document(np.zeros(3, np.int32), np.zeros(2, np.int32))) == 5


def test_a_document_is_immutable():
    document = Document(NO_TOKENS, NO_TOKENS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        document.main = np.zeros(1, np.int32)
    assert not NO_TOKENS.flags.writeable
