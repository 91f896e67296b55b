"""The README of an export: what is in it, what it scores, how to use it."""

from collections.abc import Mapping
from typing import Any

_FILES = """\
| file | what is in it |
|---|---|
| `vectors.safetensors` | `users [users, size]`, `items [items, size]`, `item_biases [items]` |
| `users.parquet`, `items.parquet` | the ids, in the order of the rows |
| `seen.safetensors` | items each user has had: `items[offsets[u]:offsets[u + 1]]`, item numbers |
| `exact.faiss` | every item, inner product; the bias is one more coordinate |
| `inverted.faiss` | the same items in cells, of which some are looked at |
| `serve_without_torch.py` | an example: `python serve_without_torch.py USER_ID 10` |
| `manifest.json` | these figures, the model's fingerprint, sha256 of every file |"""

_ONNX = """
## The ONNX model

`user_vector.onnx` takes `tokens` (int64 `[batch, length]`, padded on the right with 0) and
`lengths` (int64 `[batch]`) and gives `vector` (float32 `[batch, size]`): a user whom the files do
not have, or a history that has grown. A document is the `template` under `prompt` in
`manifest.json`, `user` replaced by `first_user` + number or, where `user_tokens` is false or the
user is new, by `unknown_user`; `items` by `first_item` + number of each item, in the order given
there, `max_items` at most.

On {documents} documents its vectors are at most {max_abs_difference:.2g} from torch's in float32
(allowed: {tolerance:.2g}) and {max_abs_difference_from_run:.2g} from those of the run, which may
compute in bfloat16."""


_INT8 = """
`user_vector.int8.onnx` is the same model with eight-bit products, {size:.0%} of its size, for
processors on which those are faster; inputs and outputs are the same."""

_INT8_COST = """\
Of the best 100 of the float32 model, its lists have {overlap:.1%}; on the {part} part ({users:,}
users) the language model alone has Recall@20 {recall[1]:.4f} where float32 has {recall[0]:.4f},
NDCG@100 {ndcg[1]:.4f} where it has {ndcg[0]:.4f}."""


def page(manifest: Mapping[str, Any]) -> str:
    """Markdown for people; every figure is in the manifest too."""
    inverted, onnx = manifest["inverted"], manifest["onnx"]
    parts = [
        "# Vectors of a CLLM4Rec run",
        f"{manifest['users']:,} users, {manifest['items']:,} items, {manifest['size']} numbers "
        f"each. The score of user `u` for item `i` is `users[u] · items[i] + item_biases[i]`.",
        "## What these scores are",
        _what(manifest),
        "## Files",
        _FILES,
        f"`inverted.faiss` has {inverted['lists']} cells and looks at {inverted['probes']}: it "
        f"finds {inverted['recall']:.1%} of the exact best {manifest['k']} "
        f"({inverted['queries']:,} users).",
    ]
    if onnx is not None:
        parts.append(_ONNX.format(**onnx).strip())
    if manifest["int8"] is not None:
        parts.append(_eight_bits(manifest["int8"]))
    return "\n\n".join(parts) + "\n"


def _eight_bits(int8: Mapping[str, Any]) -> str:
    text = _INT8.format(size=int8["bytes"] / int8["float32_bytes"]).strip()
    if int8["part"] is None:
        return f"{text} What that costs could not be measured: nothing is held out."
    recall, ndcg = int8["recall@20"], int8["ndcg@100"]
    return f"{text}\n{_INT8_COST.format(**int8, recall=recall, ndcg=ndcg)}"


def _what(manifest: Mapping[str, Any]) -> str:
    scores = manifest["scores"]
    if scores["of"] == "the run":
        return "The run's own: it blends nothing in."
    return (
        f"**The language model's alone.** The run recommends by a blend, in which a linear model "
        f"of interactions has a blend weight of {scores['blend_weight']:g}; that part is no "
        f"product of two vectors and is not in this folder. Of the run's own best "
        f"{manifest['k']} items, lists of these vectors have {scores['overlap']:.1%} "
        f"({scores['users']:,} users). Where the run's "
        f"lists are wanted, use `cllm4rec recommend`, or these vectors to find candidates only."
    )
