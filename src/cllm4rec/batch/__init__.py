"""Lists for millions of users: token rows without a Python loop, shards that survive a kill."""

from cllm4rec.batch.audience import Audience
from cllm4rec.batch.scoring import BatchScorer, Counts
from cllm4rec.batch.shards import Shard, ShardFolder

__all__ = ["Audience", "BatchScorer", "Counts", "Shard", "ShardFolder"]
