"""Peak memory of batch scoring does not grow with the users."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec.run import RunDir

USERS, K = 40_000, 100
LISTS_MB = USERS * K * 8 / 1e6

PROGRAM = """
import resource, sys
from pathlib import Path
from cllm4rec.recommender.shards import ShardFolder
from cllm4rec.recommender.saved import Recommender
from cllm4rec.stages.recommend_all import audience_of, score_shard

run, histories, out, k = *map(Path, sys.argv[1:4]), int(sys.argv[4])
peak_mb = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
recommender = Recommender.load(run)
with audience_of(recommender, histories, out) as audience:
    folder = ShardFolder(out, "m", "h", k, 500, len(audience))
    folder.open()
    request = audience.request(k)
    for number, shard in enumerate(folder.shards):
        for _ in score_shard(recommender, audience, request, folder, shard):
            pass
        if number == 1:
            before_mb = peak_mb()
assert folder.finish()
print(len(audience), peak_mb() - before_mb)
"""


@pytest.fixture
def histories(trained, tmp_path):
    """Strangers with five of the run's items each."""
    path, items = tmp_path / "histories.parquet", np.array(trained.world.item_ids)
    users = np.repeat(np.arange(USERS), 5)
    places = (users * 7 + np.tile(np.arange(5), USERS) * (1 + users % 20)) % len(items)
    pq.write_table(pa.table({"user_id": users, "item_id": items[places]}), path)
    return path


@pytest.mark.slow
def test_lists_of_all_users_are_never_held(trained, histories, tmp_path):
    run: RunDir = trained.run
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, run.path, histories, tmp_path / "out", str(K)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    users, grown_mb = done.stdout.split()
    assert int(users) == USERS
    assert float(grown_mb) < LISTS_MB / 3
