"""Serve from this folder without torch: python serve_without_torch.py USER_ID [K]."""

import sys
from pathlib import Path

import faiss
import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file

FOLDER = Path(__file__).resolve().parent
vectors, seen = load_file(FOLDER / "vectors.safetensors"), load_file(FOLDER / "seen.safetensors")
user_ids = pq.read_table(FOLDER / "users.parquet")["user_id"].to_pylist()
item_ids = pq.read_table(FOLDER / "items.parquet")["item_id"].to_pylist()
numbers = {user_id: number for number, user_id in enumerate(user_ids)}
index = faiss.read_index(str(FOLDER / "exact.faiss"))  # or inverted.faiss: faster, not exact


def recommend(user_id: str, k: int) -> list[tuple[str, float]]:
    """The k best items that the user has not had, as (item id, score), best first."""
    user = numbers[user_id]
    known = seen["items"][seen["offsets"][user] : seen["offsets"][user + 1]]
    query = np.append(vectors["users"][user], np.float32(1))[None]  # the 1 meets the item's bias
    scores, found = index.search(query, min(k + len(known), index.ntotal))
    new = (found[0] >= 0) & ~np.isin(found[0], known)
    return [(item_ids[i], float(s)) for i, s in zip(found[0][new], scores[0][new], strict=True)][:k]


if __name__ == "__main__":
    if (user_id := "".join(sys.argv[1:2])) not in numbers:
        sys.exit(f"USER_ID {user_id[:80]!r} is nobody in users.parquet; give one of its user_id")
    for item_id, score in recommend(user_id, int(sys.argv[2]) if len(sys.argv) > 2 else 10):
        print(f"{item_id}\t{score:.6f}")
