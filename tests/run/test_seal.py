"""A sealed folder says which file has changed."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import IntegrityError
from cllm4rec.run import seal, verify_seal


@pytest.fixture
def sealed(tmp_path) -> Path:
    folder = tmp_path / "saved"
    (folder / "data" / "below").mkdir(parents=True)
    (folder / "model.bin").write_bytes(bytes(range(100)))
    (folder / "data" / "below" / "empty").touch()
    (folder / "data" / "table").write_text("a,b")
    (folder / "README.md").write_text("a page")
    seal(folder, "data", "model.bin")
    verify_seal(folder)
    return folder


def complaint(folder: Path) -> str:
    with pytest.raises(IntegrityError) as caught:
        verify_seal(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(bit=st.integers(0, 799))
def test_one_flipped_bit_is_found(tmp_path_factory, bit):
    folder = tmp_path_factory.mktemp("sealed")
    content = bytearray(range(100))
    (folder / "model.bin").write_bytes(content)
    seal(folder, "model.bin")
    content[bit // 8] ^= 1 << bit % 8
    (folder / "model.bin").write_bytes(content)
    assert "model.bin is not what was saved" in complaint(folder)
    content[bit // 8] ^= 1 << bit % 8
    (folder / "model.bin").write_bytes(content)
    verify_seal(folder)


@pytest.mark.parametrize("length", [0, 1, 99])
def test_a_truncated_file_is_found(sealed, length):
    (sealed / "model.bin").write_bytes(bytes(range(length)))
    assert "model.bin is not what was saved" in complaint(sealed)


@pytest.mark.parametrize("name", ["model.bin", "data/below/empty"])
def test_a_missing_file_is_found(sealed, name):
    (sealed / name).unlink()
    assert f"{name} is missing; copy or download" in complaint(sealed)


def test_a_file_that_was_added_is_found(sealed):
    (sealed / "data" / "more").touch()
    assert "data/more is not listed in sha256.json" in complaint(sealed)


def test_what_is_not_covered_may_change(sealed):
    (sealed / "README.md").write_text("another page")
    (sealed / ".gitattributes").touch()
    verify_seal(sealed)


def test_a_seal_that_is_gone_or_damaged_is_refused(sealed):
    path = sealed / "sha256.json"
    whole = path.read_text()
    for text in (whole[:-20], "[]", '{"format": 2}', '{"format":2,"covers":[],"files":3}'):
        path.write_text(text)
        assert "sha256.json cannot be read" in complaint(sealed)
    path.write_text(json.dumps({**json.loads(whole), "format": 1}))
    assert "has format 1; this version reads 2" in complaint(sealed)
    path.unlink()
    assert "sha256.json is missing; copy or download the folder again" in complaint(sealed)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_flipped_byte_of_the_seal_is_not_blamed_on_a_file(sealed, share):
    path = sealed / "sha256.json"
    changed = bytearray(path.read_bytes())
    changed[round(share * len(changed))] ^= 1
    path.write_bytes(changed)
    assert "sha256.json cannot be read" in complaint(sealed)


def test_a_seal_does_not_lead_out_of_its_folder(sealed):
    path, covers = sealed / "sha256.json", ["../.."]
    content = {"covers": covers, "files": json.loads(path.read_text())["files"]}
    own = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({"format": 2, **content, "sha256": own}))
    assert "cannot be read" in complaint(sealed)
