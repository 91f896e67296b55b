"""Benchmarks of speed, outside the wheel; each is a folder that Python runs.

    python benchmarks/speed        every stage, beside the machine's own limits
    python benchmarks/service      latency and rate of a run's service
    python benchmarks/batch        batch scoring beside the bare backbone
    python benchmarks/growth       synthetic worlds of any size, and how the stages grow with them
    python benchmarks/authors      training as the authors' code does it, beside ours

``quality.toml`` and ``ablation.toml`` are plans of ``cllm4rec bench quality``.
"""
