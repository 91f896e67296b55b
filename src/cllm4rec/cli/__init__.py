"""The command line: it translates, and does nothing else.

``app`` holds the commands, ``output`` prints results, ``failures`` turns errors into exit codes.
"""

import gc
import os

# Torch keeps what it prepared for each of the last thousand shapes of a product; lengths differ, so
# that is one to two gigabytes in the end. Read when torch is loaded, which the commands do later.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
# A thread that waits for the others sleeps. It spins otherwise, and where cores are shared it takes
# them from those it waits for: several times the time (docs/decisions/0021).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from cllm4rec.cli.app import cllm4rec, main

# Loading torch and transformers makes half a million objects, and all stay: a collector that looks
# through them after every 700 takes a sixth of the time. Not in ``import cllm4rec``, whose process
# is somebody else's.
gc.set_threshold(50_000, 20, 100)

__all__ = ["cllm4rec", "main"]
