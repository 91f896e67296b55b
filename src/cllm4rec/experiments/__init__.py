"""Quality benchmarks: data sets × models × seeds in one table that can be interrupted and goes on.

``plan`` says what is compared, ``data`` prepares each data set once, ``cells`` says what one
computation leaves and when it counts, ``process`` runs it, ``table`` makes numbers of them and
``writing`` and ``plot`` what people read.
"""

from cllm4rec.experiments.plan import Plan, load_plan
from cllm4rec.experiments.quality import quality
from cllm4rec.experiments.writing import table_page

__all__ = ["Plan", "load_plan", "quality", "table_page"]
