"""The demo itself, on the real backbone and data from the package index; `make test-demo`."""

import json
import subprocess
import sys
import time

import pytest


@pytest.mark.demo
def test_the_demo_recommends_within_its_limits(tmp_path):
    started_at_s = time.monotonic()
    command = [sys.executable, "-c", "from cllm4rec.cli import main; main()", "demo"]
    command += ["--run", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=3600)
    assert done.returncode == 0, done.stderr.decode()
    results = json.loads(done.stdout)["results"]
    recall = {row["model"]: row["metrics"]["recall@20"]["mean"] for row in results["rows"]}
    assert recall["hybrid"] >= 0.33
    assert recall["hybrid"] > max(recall["popularity"], recall["ials"])
    assert (tmp_path / "report.html").is_file()
    print(f"demo: {time.monotonic() - started_at_s:.0f} s", file=sys.stderr)
