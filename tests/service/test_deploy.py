"""The container's files, read as an engine would read them: none runs here."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from cllm4rec.cli import cllm4rec
from cllm4rec.service.auth import OPEN_PATHS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.fixture
def stages() -> list[list[tuple[str, str]]]:
    """Instructions of every stage of the Containerfile, continued lines joined."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", text, flags=re.M))
    found: list[list[tuple[str, str]]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            found.append([])
        found[-1].append((instruction, rest.strip()))
    return found


@pytest.fixture
def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def test_the_image_is_slim_and_runs_as_nobody_special(stages):
    for stage in stages:
        assert re.fullmatch(r"python:3\.\d+-slim( AS \w+)?", dict(stage)["FROM"])
    last = dict(stages[-1])
    assert int(last["USER"]) > 0
    assert "useradd --uid " + last["USER"] in last["RUN"]
    order = [instruction for instruction, _ in stages[-1]]
    assert order.index("RUN") < order.index("USER") < order.index("ENTRYPOINT")


def test_what_is_copied_into_the_image_exists_and_is_not_ignored(stages):
    let_through = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    for instruction, rest in stages[0]:
        if instruction == "COPY":
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in let_through


def test_the_container_says_whether_it_is_well(stages):
    check = dict(stages[-1])["HEALTHCHECK"]
    assert {"--interval=10s", "--timeout=3s", "--retries=3"} <= set(check.split())
    command = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "healthcheck", "exec")
    port, path = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", command[2]).groups()
    assert path in OPEN_PATHS  # it has no key
    assert dict(stages[-1])["EXPOSE"] == port


def test_the_container_runs_a_command_there_is(stages):
    last = dict(stages[-1])
    entry = json.loads(last["ENTRYPOINT"]) + json.loads(last["CMD"])
    assert entry[:2] == ["cllm4rec", "serve"]
    command = cllm4rec.commands["serve"]
    # Below the group, as on the command line: a command keeps the help option it is first given.
    with cllm4rec.make_context("cllm4rec", ["serve"], resilient_parsing=True) as above:
        given = command.make_context("serve", entry[2:], parent=above).params
    assert (given["host"], given["port"]) == ("0.0.0.0", int(last["EXPOSE"]))
    assert given["keys"] is not None  # it can be reached from elsewhere
    assert str(given["feedback"]) in json.loads(last["VOLUME"])


def test_the_services_of_the_compose_file_fit_the_image(compose, stages):
    service = compose["services"]["recommender"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    (port,) = service["ports"]
    assert port.startswith("127.0.0.1:")
    assert port.endswith(":" + dict(stages[-1])["EXPOSE"])
    mounts = {
        each.rsplit(":", 1)[0] if each.endswith(":ro") else each for each in service["volumes"]
    }
    inside = {mount.rsplit(":", 1)[1] for mount in mounts}
    assert {"/run-data", "/cache", "/feedback"} <= inside
    assert "/run/secrets/" + service["secrets"][0] in dict(stages[-1])["CMD"]


def test_every_service_has_no_more_rights_than_it_needs(compose):
    named = set(compose["volumes"]) | set(compose["secrets"])
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service["secrets"]) <= named
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_prometheus_asks_the_service_with_a_key(compose):
    settings = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text(encoding="utf-8"))
    (job,) = settings["scrape_configs"]
    host, port = job["static_configs"][0]["targets"][0].split(":")
    assert compose["services"][host]["ports"][0].endswith(":" + port)
    assert job["metrics_path"] == "/metrics"
    prometheus = compose["services"]["prometheus"]
    assert job["authorization"]["credentials_file"] == "/run/secrets/" + prometheus["secrets"][0]
    assert any(each.startswith("./prometheus.yaml:") for each in prometheus["volumes"])
