"""Threads that have nothing to do sleep: spinning, they took the cores of those that had."""

import os
import subprocess
import sys

import pytest

PAUSES = """
import time
import cllm4rec.cli
import torch
torch.set_num_threads(2)
numbers = torch.randn(400_000)
numbers.sin()
before = time.process_time()
for _ in range(100):
    numbers.sin()
    time.sleep(0.01)
print(time.process_time() - before)
"""
"""A little work for two threads, a hundred times, with a second of pauses in all."""


def said(program: str, **environment: str) -> str:
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=inherited | environment,
    )
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings its own OpenMP elsewhere")
def test_a_waiting_thread_takes_no_processor_time():
    assert float(said(PAUSES)) < 0.4  # 0.9 s spinning, 0.1 s asleep


def test_a_policy_of_the_environment_is_kept():
    program = "import os, cllm4rec.cli; print(os.environ['OMP_WAIT_POLICY'])"
    assert said(program).split() == ["passive"]
    assert said(program, OMP_WAIT_POLICY="active").split() == ["active"]
