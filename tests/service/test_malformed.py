"""Whatever is sent, the answer is the caller's mistake and never ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.service import limits
from support.examples import examples

POSTS = ("/v1/recommend", "/v1/compare", "/v1/feedback")
JSON = {"Content-Type": "application/json"}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=8)
    | st.sampled_from(["user_000001", "item_000001", "\ud800", "\x00"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
fields = st.sampled_from([
    "users",
    "histories",
    "k",
    "include",
    "exclude",
    "where",
    "seen",
    "explain",
    "interactions",
])
bodies = st.dictionaries(fields | st.text(max_size=4), values, max_size=5) | values


def refused(client, path, content, headers=JSON):
    response = client.post(path, content=content, headers=headers)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert list(response.json()) == ["error"]
        assert "\n" not in response.json()["error"]
    return response


@examples(150)
@given(st.sampled_from(POSTS), bodies)
def test_any_json_is_answered(client, path, body):
    refused(client, path, json.dumps(body).encode())


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "text/plain"])
def test_a_body_that_is_not_marked_as_json_is_told_the_header(client, path, kind):
    """As curl -d sends it."""
    headers = {} if kind is None else {"Content-Type": kind}
    response = refused(client, path, b'{"users": ["user_000001"]}', headers)
    assert response.status_code == 422
    assert "header Content-Type: application/json" in response.json()["error"]


@examples(80)
@given(st.sampled_from(POSTS), st.binary(max_size=60))
def test_any_bytes_are_refused(client, path, content):
    assert refused(client, path, content).status_code in {400, 422}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"NaN",
        b'{"users": ["user_000001"], "k": NaN}',
        b'{"users": ["user_000001"], "k": Infinity}',
        b'{"users": ["user_000001"], "k": -Infinity, "\\ud800": NaN}',
        b'{"users": ["\\ud800"]}',
        b'{"where": {"\\ud800": "\\udfff"}, "users": ["user_000001"]}',
        b'{"users": ["\xff\xfe"]}',
        b"\xff\xfe\x00\x00",
        b'{"users": ["a"], "users": ["b"], "users": 3}',
        b"[" * 100_000,
        b"[" * 400_000 + b"]" * 400_000,
        b'{"a":' * 100_000,
        b'{"users": ["user_000001"], "k": ' + b"9" * 5000 + b"}",
        b'{"users": ["user_000001"], "k": 1e400}',
        b'{"users": [' + b'"a",' * 200_000 + b'"a"]}',
        '{"users": ["user_000001"]}'.encode("utf-16"),
        '{"users": ["user_000001"]}'.encode("utf-32"),
    ],
    ids=range(18),
)
def test_traps_are_refused(client, path, content):
    response = refused(client, path, content)
    if b"\x00u" not in content:
        assert response.status_code in {400, 422}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "content", [b"{", b"{'users': []}", b'{"users": [}', b"\xff\xfe\x00\x00", b"[" * 100_000]
)
def test_what_is_not_json_is_a_bad_request(client, path, content):
    response = refused(client, path, content)
    assert (response.status_code, response.json()) == (400, {"error": "the body is not JSON"})


def test_what_was_sent_is_not_repeated(client):
    secret = b'{"users": [{"secret-name": "secret-value"}], "k": "secret-number"}'
    assert "secret-value" not in refused(client, "/v1/recommend", secret).text
    assert "secret-number" not in refused(client, "/v1/recommend", secret).text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_form_of_another_site_is_no_json(client, kind):
    body = b'{"users": ["user_000001"]}'
    assert refused(client, "/v1/recommend", body, {"Content-Type": kind}).status_code == 422


def test_a_body_that_is_too_long_is_refused_whatever_it_announces(client):
    def chunks():
        for _ in range(20):
            yield b" " * 100_000

    too_long = b" " * 1_000_001
    assert refused(client, "/v1/recommend", too_long).status_code == 413
    assert refused(client, "/v1/recommend", chunks()).status_code == 413
    response = client.request("GET", "/v1/users", content=too_long)
    assert response.status_code == 413
    just = b'{"users": ["user_000001"]}'
    just += b" " * (1_000_000 - len(just))
    assert refused(client, "/v1/recommend", just).status_code == 200


def test_wrong_methods_and_queries_are_refused(client):
    assert client.get("/v1/recommend").status_code == 405
    assert client.post("/v1/users").status_code == 405
    for query in ("limti=5", "limit=0", "limit=x", "limit=1001", "query=" + "a" * 201):
        assert client.get(f"/v1/users?{query}").status_code == 422
    assert client.get("/v1/similar").status_code == 422
    assert client.get("/v1/users?query=%ff%00").status_code == 200


def test_a_body_that_does_not_arrive_is_given_up(client, monkeypatch):
    """Through the middleware alone: the test client has no slow bodies."""
    import asyncio

    monkeypatch.setattr(limits, "READ_S", 0.05)
    parts, sent = client.app.state.components, []

    async def receive():
        await asyncio.sleep(30)

    async def send(message):
        sent.append(message)

    middleware = limits.Limits(None, metrics=parts.metrics, batcher=parts.batcher, max_body_bytes=9)
    scope = {"type": "http", "method": "POST", "path": "/v1/feedback", "headers": []}
    asyncio.run(middleware(scope, receive, send))
    assert sent[0]["status"] == 408
