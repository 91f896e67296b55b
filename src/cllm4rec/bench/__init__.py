"""Benchmarks: data sets × models × seeds in one table that can be interrupted and goes on.

``plan`` says what is compared, ``data`` prepares each data set once, ``cells`` says what one
computation leaves and when it counts, ``process`` runs it, ``table`` makes numbers of them and
``writing`` and ``plot`` what people read. ``service`` measures how fast a run's service answers;
``batch`` times batch scoring, and is imported by itself: it needs torch.
"""

from cllm4rec.bench.plan import Plan, load_plan
from cllm4rec.bench.quality import quality
from cllm4rec.bench.service import Load, service
from cllm4rec.bench.writing import table_page

__all__ = ["Load", "Plan", "load_plan", "quality", "service", "table_page"]
