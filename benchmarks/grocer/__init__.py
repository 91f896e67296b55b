"""A grocer's log, on which no preset was chosen, as input directories.

``benchmarks/grocer.toml`` is the plan of ``cllm4rec bench quality`` on them.
"""
