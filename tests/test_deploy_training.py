"""Starts of training on several machines, read as their programs would: none runs here."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from torch.distributed.run import get_args_parser

from cllm4rec.cli import cllm4rec

FOLDER = Path(__file__).parents[1] / "deploy" / "training"
SCRIPTS = ["slurm.sbatch", "ssh.sh", "two-namespaces.sh"]


@pytest.fixture
def pod() -> dict:
    job_set = yaml.safe_load((FOLDER / "jobset.yaml").read_text(encoding="utf-8"))
    assert (job_set["apiVersion"], job_set["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    [job] = job_set["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["parallelism"] == spec["completions"] == 2
    first = f"{job_set['metadata']['name']}-{job['name']}-0-0.{job_set['metadata']['name']}"
    return {**spec["template"]["spec"], "first": first, "machines": spec["completions"]}


def commands(script: str) -> list[list[str]]:
    """The calls of torchrun in a script, with 1 for every variable."""
    text = re.sub(r"\\\n\s*", " ", (FOLDER / script).read_text(encoding="utf-8"))
    text = re.sub(r"\"?\$(\{[^}]*\}|\([^)]*\)|\w+)\"?", "1", text)
    found = re.findall(r"torchrun (--nnodes .*?--run \S+)", text)
    return [shlex.split(each.rstrip("\"'")) for each in found]


def understood(arguments: list[str]) -> None:
    """What torchrun takes for its own, and what it hands to the program."""
    given = get_args_parser().parse_args(arguments)
    assert given.module
    assert given.training_script == "cllm4rec"
    assert {"nnodes", "node_rank", "nproc_per_node", "master_addr"} <= vars(given).keys()
    assert given.node_rank is not None
    assert given.master_addr != "127.0.0.1"
    name, *options = given.training_script_args
    assert name == "train"
    known = {name for each in cllm4rec.commands[name].params for name in each.opts}
    assert {option for option in options if option.startswith("--")} <= known


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_one_that_bash_can_read(script):
    done = subprocess.run(["bash", "-n", FOLDER / script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    text = (FOLDER / script).read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text


def test_shellcheck_finds_nothing():
    places = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    found = shutil.which("shellcheck", path=places)
    assert found is not None, "install the extra dev"
    scripts = [FOLDER / script for script in SCRIPTS]
    done = subprocess.run([found, *scripts], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_torchrun_and_the_program_know_every_option_of_a_script(script):
    found = commands(script)
    assert len(found) == 1
    understood(found[0])


def test_torchrun_and_the_program_know_every_option_of_the_pod(pod):
    [container] = pod["containers"]
    program, *arguments = container["command"]
    assert program == "torchrun"
    known = {each["name"] for each in container["env"]}
    named = set(re.findall(r"\$\((\w+)\)", " ".join(arguments)))
    assert named <= known
    arguments = [re.sub(r"\$\(\w+\)", "1", each) for each in arguments]
    understood(arguments)
    assert arguments[arguments.index("--nnodes") + 1] == str(pod["machines"])
    assert arguments[arguments.index("--master-addr") + 1] == pod["first"]
    processes = arguments[arguments.index("--nproc-per-node") + 1]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == processes


def test_what_a_pod_mounts_is_there(pod):
    [container] = pod["containers"]
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}
    assert pod["restartPolicy"] == "Never"
    run = container["command"][container["command"].index("--run") + 1]
    assert any(run.startswith(each["mountPath"]) for each in container["volumeMounts"])
