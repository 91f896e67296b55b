"""The page in process: what it says, what it refuses to run, and what the browser may keep."""

import gzip
import html
import json
import re
import shutil
import time
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from cllm4rec.run import RunDir
from cllm4rec.service.app import create_app
from cllm4rec.service.served import ModelHolder
from cllm4rec.service.settings import ServiceSettings
from support.page_run import ITEMS, QUOTES, SCRIPT, USERS


@pytest.fixture(scope="module")
def client(page_run, tmp_path_factory) -> Iterator[TestClient]:
    run = tmp_path_factory.mktemp("routes") / "run <b>"
    shutil.copytree(page_run.path, run)
    holder = ModelHolder(run)
    holder.load()
    with TestClient(create_app(ServiceSettings(run=run), holder)) as client:
        yield client


def drawn_map(client: TestClient) -> dict:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        answer = client.get("/page/map.json")
        if answer.json()["state"] != "drawing":
            return answer.json()
        time.sleep(0.05)
    raise AssertionError("the map was never drawn")


@pytest.mark.parametrize("path", ["/", "/results", "/?user=u03", "/?user=nobody"])
def test_pages_are_html_that_nothing_from_elsewhere_can_reach(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/results", "/?user=u03"])
def test_pages_hold_no_script_style_or_address_that_the_policy_would_refuse(client, path):
    page = client.get(path).text
    assert not re.search(r"<style|style=| on[a-z]+=|javascript:", page)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", page))
    addresses = re.findall(r"(?:src|href|action)=\"([^\"]*)\"", page)
    assert all(re.match(r"[/#](?!/)", address) for address in addresses), addresses


@pytest.mark.parametrize("path", ["/", "/results", "/?user=u03"])
def test_pages_have_one_heading_landmarks_a_language_and_labels(client, path):
    page = client.get(path).text
    assert len(re.findall("<h1", page)) == 1
    for landmark in ("<main", "<header", "<nav", "<footer", '<html lang="en"'):
        assert landmark in page
    for field in re.findall(r"<(?:input|select)[^>]* id=\"([^\"]+)\"", page):
        wrapped = re.search(rf"<label[^>]*>(?:(?!</label>).)*id=\"{field}\"", page, re.DOTALL)
        assert f'for="{field}"' in page or wrapped, field


def test_ids_stand_once_on_a_page(client):
    for path in ("/", "/results", "/?user=u03"):
        ids = re.findall(r'\bid="([^"]+)"', client.get(path).text)
        assert len(ids) == len(set(ids)), path


def test_what_comes_from_outside_is_shown_as_text(client):
    page = client.get("/").text
    assert "run &lt;b&gt;" in page
    assert "<b>" not in page
    asked = "<script>alert('who')</script>\"'"
    page = client.get("/", params={"user": asked}).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#39;who&#39;)" in page


def test_without_javascript_a_known_users_list_is_on_the_page(client):
    for user in range(USERS):
        page = client.get("/", params={"user": f"u{user:02}"}).text
        ranked = client.post("/v1/recommend", json={"users": [f"u{user:02}"], "k": 20}).json()[
            "results"
        ][0]["items"]
        shown = re.findall(r'<span class="title">(.*?)</span>', page, re.DOTALL)
        assert [html.unescape(title) for title in shown] == [
            item["title"] or item["item_id"] for item in ranked
        ]
        assert SCRIPT not in page
        assert QUOTES not in page


def test_titles_that_are_html_stand_escaped_on_the_page(client):
    pages = "".join(client.get("/", params={"user": f"u{n:02}"}).text for n in range(USERS))
    assert html.escape(SCRIPT).replace("&#x27;", "&#39;") in pages
    assert "<b onclick" not in pages


def test_an_unknown_user_is_told_so(client):
    page = client.get("/", params={"user": "nobody"}).text
    assert "unknown user &#39;nobody&#39;" in page


def test_static_files_are_kept_for_ever_under_their_own_digest(client):
    page = client.get("/").text
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        assert answer.headers["content-type"].startswith(kind[address.rpartition(".")[2]])


def test_every_module_that_is_imported_is_served(client):
    base = re.search(r'src="(/static/\w+)/app.js"', client.get("/").text)[1]
    waiting, seen = ["app.js"], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        answer = client.get(f"{base}/{name}")
        assert answer.status_code == 200, name
        waiting += set(re.findall(r'from "\./([\w-]+\.js)"', answer.text)) - seen
        assert "innerHTML" not in answer.text
        assert "http:" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert len(seen) > 5


def test_an_older_pages_files_are_not_kept(client):
    answer = client.get("/static/0123456789abcdef/app.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "..%2froutes.py", "__init__.py"])
def test_nothing_else_is_a_static_file(client, name):
    assert client.get(f"/static/0123456789abcdef/{name}").status_code == 404


def test_the_map_has_every_item_once_with_a_place_and_its_title(client):
    found = drawn_map(client)
    assert found["state"] == "ready"
    assert sorted(found["ids"]) == sorted(f"i{n:02}" for n in range(ITEMS))
    assert {len(found[name]) for name in ("ids", "titles", "x", "y")} == {ITEMS}
    titles = dict(zip(found["ids"], found["titles"], strict=True))
    assert titles["i00"] == SCRIPT
    assert titles["i02"] == "i02"
    assert all(isinstance(unit, int) for unit in found["x"] + found["y"])
    assert found["attributes"][0]["name"] == "genres"
    for attribute in found["attributes"]:
        codes = {code for each in attribute["codes"] for code in each}
        assert codes == set(range(len(attribute["labels"])))


def test_the_map_is_sent_once(client):
    drawn_map(client)
    first = client.get("/page/map.json")
    assert first.headers["content-encoding"] == "gzip"
    again = client.get("/page/map.json", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    plain = client.get("/page/map.json", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == first.json()


def test_results_are_those_of_the_run(client, page_run):
    page = client.get("/results").text
    rows = json.loads(page_run.file("results.json").read_text())["rows"]
    for row in rows:
        assert f"{row['metrics']['recall@20']['mean']:.4f}" in page
        assert html.escape(row["model"]) in page
    assert page.count("<svg") >= 4
    assert "Loss: finetune" in page


def test_a_damaged_table_of_results_is_said_to_be_one(page_run, tmp_path):
    shutil.copytree(page_run.path, tmp_path / "run")
    (tmp_path / "run" / "results.json").write_text("{")
    with _served(RunDir(tmp_path / "run")) as client:
        answer = client.get("/results")
    assert answer.status_code == 200
    assert "results.json is not JSON" in answer.text


def test_a_run_that_was_not_evaluated_has_no_table(page_run, tmp_path):
    for name in ("data", "model"):
        shutil.copytree(page_run.file(name), tmp_path / "saved" / name)
    with _served(RunDir(tmp_path / "saved")) as client:
        page = client.get("/results").text
    assert "has not been evaluated yet" in page
    assert "<svg" not in page


def test_a_run_that_was_trained_on_everything_is_not_sent_to_evaluate(page_run, tmp_path):
    run = RunDir(tmp_path / "run").create()
    for name in ("data", "model"):
        shutil.copytree(page_run.file(name), run.file(name))
    source = {"keep_test": False}
    run.finish("prepare", [run.file("data")], 0.0, refit=source)
    with _served(run) as client:
        page = client.get("/results").text
    assert "nothing is left to measure it on" in page
    assert "has not been evaluated yet" not in page


def test_while_the_model_is_loaded_the_page_says_so_and_comes_back(page_run, tmp_path):
    holder = ModelHolder(page_run.path)
    app = create_app(ServiceSettings(run=page_run.path, feedback=tmp_path), holder)
    client = TestClient(app)  # not entered: nothing begins to load the model
    for path in ("/", "/results"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "being loaded" in answer.text
        assert 'http-equiv="refresh"' in answer.text


def test_the_page_asks_for_a_key_where_there_are_keys(page_run, tmp_path):
    holder = ModelHolder(page_run.path)
    holder.load()
    settings = ServiceSettings(run=page_run.path, feedback=tmp_path, keys=("secret",))
    with TestClient(create_app(settings, holder)) as client:
        assert client.get("/").status_code == 401
        assert client.get("/page/map.json").status_code == 401
        assert client.get("/", auth=("anyone", "secret")).status_code == 200


def _served(run: RunDir) -> TestClient:
    holder = ModelHolder(run.path)
    holder.load()
    return TestClient(create_app(ServiceSettings(run=run.path), holder))


def test_gzip_of_the_map_is_the_map(client):
    drawn_map(client)
    with client.stream("GET", "/page/map.json") as answer:
        raw = b"".join(answer.iter_raw())
    assert json.loads(gzip.decompress(raw))["items"] == ITEMS
