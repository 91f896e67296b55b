"""Nothing but the two health routes answers without a key."""

import base64

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Route

from cllm4rec.errors import InputError
from cllm4rec.service import ServiceSettings, create_app
from cllm4rec.service.auth import OPEN_PATHS
from cllm4rec.service.settings import is_loopback, read_keys, refuse_open_door

KEYS = ("first-key", "second-key")


@pytest.fixture(scope="module")
def locked(run, holder, tmp_path_factory):
    settings = ServiceSettings(run=run, feedback=tmp_path_factory.mktemp("log"), keys=KEYS)
    with TestClient(create_app(settings, holder)) as client:
        yield client


def paths(app) -> set[tuple[str, str]]:
    """Method and path of every route there is, those of the interface's description included."""
    described = {
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    plain = {("GET", route.path) for route in app.routes if isinstance(route, Route)}
    return described | plain


def test_every_route_but_health_needs_a_key(locked):
    found = paths(locked.app)
    assert {path for _, path in found} >= {"/v1/recommend", "/metrics", "/docs", "/openapi.json"}
    for method, path in sorted(found):
        response = locked.request(method, path.replace("{", "").replace("}", ""))
        if path in OPEN_PATHS:
            assert response.status_code == 200, path
            continue
        assert response.status_code == 401, path
        assert response.headers["WWW-Authenticate"].startswith("Basic ")
        assert list(response.json()) == ["error"]
    for path in (
        "/",
        "/nowhere",
        "/v1/../metrics",
        "//metrics",
        "/healthz/",
        "/healthz/../metrics",
    ):
        assert locked.get(path).status_code == 401, path


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("key", KEYS)
def test_each_key_opens_by_each_header(locked, key):
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"authorization": f"bearer {key}"},
        {"X-API-Key": key},
        {"Authorization": basic("anyone", key)},
        {"Authorization": basic("", key)},
    ):
        assert locked.get("/v1/users", headers=headers).status_code == 200, headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer first-ke"},
        {"Authorization": "Bearer first-key2"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer"},
        {"Authorization": "first-key"},
        {"Authorization": "Digest first-key"},
        {"Authorization": basic("first-key", "")},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic /////w=="},
        {"X-API-Key": ""},
        {"X-API-Key": "first-key,second-key"},
    ],
)
def test_anything_else_does_not(locked, headers):
    assert locked.get("/v1/users", headers=headers).status_code == 401


def test_a_key_of_strange_bytes_is_refused_and_no_fault(locked):
    for key in (b"\xff\xfe", "schlüssel".encode()):
        assert locked.get("/v1/users", headers=[(b"x-api-key", key)]).status_code == 401


def test_another_sites_page_cannot_use_a_browsers_password(locked):
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        headers = {"Authorization": basic("me", KEYS[0]), "Sec-Fetch-Site": site}
        body = {"users": [locked.get("/v1/users", headers=headers).json()["users"][0]]}
        assert locked.post("/v1/recommend", json=body, headers=headers).status_code == status
    headers = {"X-API-Key": KEYS[0], "Sec-Fetch-Site": "cross-site"}
    assert locked.post("/v1/recommend", json=body, headers=headers).status_code == 200


def test_without_keys_only_this_machines_names_are_answered(run, holder, tmp_path):
    settings = ServiceSettings(run=run, feedback=tmp_path, local_hosts_only=True)
    with TestClient(create_app(settings, holder)) as client:
        for host in ("localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"):
            assert client.get("/v1/users", headers={"Host": host}).status_code == 200, host
        for host in ("rebound.example", "localhost.example:8000", "127.0.0.1.example", "[::2]"):
            assert client.get("/v1/users", headers={"Host": host}).status_code == 421, host


def test_a_service_others_can_reach_must_have_keys():
    refuse_open_door("127.0.0.1", ())
    refuse_open_door("::1", ())
    refuse_open_door("0.0.0.0", ("key",))
    for host in ("0.0.0.0", "::", "192.168.0.3", "example"):
        assert not is_loopback(host)
        with pytest.raises(InputError, match="there are no keys; give --keys FILE"):
            refuse_open_door(host, ())


def test_keys_come_from_a_file_and_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("CLLM4REC_KEYS", raising=False)
    assert read_keys(None) == ()
    file = tmp_path / "keys"
    file.write_text("one\n\n two \none\n")
    assert read_keys(file) == ("one", "two")
    monkeypatch.setenv("CLLM4REC_KEYS", "three,four")
    assert read_keys(file) == ("three", "four", "one", "two")


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"\n \n", "holds no key"), (b"a b", "printable ASCII"), (b"\xff", "not UTF-8")],
)
def test_keys_that_cannot_be_used_are_refused(tmp_path, content, error):
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(InputError, match=error):
        read_keys(tmp_path / "keys")
    with pytest.raises(InputError, match="cannot read --keys"):
        read_keys(tmp_path / "absent")
