"""Quality benchmarks: data sets × models × seeds in one table; resumable.

``plan`` reads what to compare, ``data`` prepares each data set once, ``cells`` defines one
computation and its files, ``process`` runs it in a subprocess, ``table`` computes the numbers,
``writing`` and ``plot`` produce the reports.
"""

from cllm4rec.experiments.plan import Plan, load_plan
from cllm4rec.experiments.quality import quality
from cllm4rec.experiments.writing import table_page

__all__ = ["Plan", "load_plan", "quality", "table_page"]
