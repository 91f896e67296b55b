"""Benchmarks, outside the wheel; each folder is a program that Python runs.

    python benchmarks/speed        every stage, beside the machine's own limits
    python benchmarks/service      latency and rate of a run's service
    python benchmarks/batch        batch scoring beside the bare backbone
    python benchmarks/growth       synthetic worlds of any size, and how the stages grow with them
    python benchmarks/processes    training on two processes beside one
    python benchmarks/authors      training as the authors' code does it, beside ours
    python benchmarks/queries      queries in words
    python benchmarks/profiles     users without a history, by properties
    python benchmarks/grocer       the data of ``grocer.toml``

Files ``*.toml`` are plans of ``cllm4rec bench quality``.
"""
