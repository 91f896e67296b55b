"""A grocer's log, on which nothing in the program was tuned, as input directories.

``benchmarks/grocer.toml`` is the plan of ``cllm4rec bench quality`` on them.
"""
