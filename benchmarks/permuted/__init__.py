"""Control data of ``benchmarks/paper.toml``: the same log, its texts permuted between items.

A method that reads texts should do worse on it; one that does not has learned nothing from them.
"""
