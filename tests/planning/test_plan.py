"""The plan: its numbers follow the formulas, and what does not fit is named."""

import json
import subprocess
import sys

import pytest

from cllm4rec.config import Request
from cllm4rec.config.presets import PAPER_SMALL, SEQUENCES, SETS
from cllm4rec.errors import InputError
from cllm4rec.models.device import room_for
from cllm4rec.planning import Size, calibration, memory, plan
from cllm4rec.planning.calibration import Speed, _solved
from cllm4rec.planning.flops import backbone, head
from cllm4rec.planning.size import Model
from cllm4rec.planning.work import document_tokens, one_list, step, steps_per_epoch, tokens_at_once

SMALL = Size(1_000, 2_000, 20_000)
LARGE = Size(100_000_000, 10_000_000, 5_000_000_000)


def planned(size, **options):
    return plan(size, Request("sets", {}), device="H100", host_memory=512e9, **options)


def test_operations_are_those_of_the_formula():
    model = Model.of(SETS.backbone)
    # 20 items of which 16 are trained on and 0.7 stay in the prompt of nine further tokens.
    length = round(16 * 0.7 + 9)
    expected = backbone(
        model.shape, [length] * 64, 2, learning=True, trained=True, last_only=True
    ) + head(64, 576, 2_000, 2, maps=2, learning=True)
    assert step(SMALL, model, SETS)[0].flops == expected.flops
    read = backbone(model.shape, [29], 2, learning=False, last_only=True)
    assert one_list(SMALL, model, SETS).flops == (
        read.flops + head(1, 576, 2_000, 2, maps=2, learning=False).flops
    )
    assert steps_per_epoch(SMALL, SETS) == 1_000 / 64


def test_a_softmax_over_a_sample_costs_its_part_and_divides_no_table():
    model, fewer = Model.of(SETS.backbone), SETS.changed(model={"softmax_items": 500})
    whole, sampled = (step(SMALL, model, config)[0].flops for config in (SETS, fewer))
    of_all, of_some = (
        head(64, 576, items, 2, maps=2, learning=True).flops for items in (2_000, 500)
    )
    assert whole - sampled == of_all - of_some > 0
    assert step(SMALL, model, SETS.changed(model={"softmax_items": 9_000}))[0].flops == whole
    sample, texts = {"model": {"softmax_items": 50_000}}, {"model": {"item_texts": "words"}}
    auto = {"model": {"item_texts": "auto"}}  # without texts, where there are so many
    # Nor do texts.
    for given, named in (({}, True), (sample, False), (texts, False), (auto, True)):
        request = Request("sets", given)
        rows = plan(LARGE, request, device="H100", devices=64, host_memory=512e9)["settings"]
        assert any("divided" in str(row) for row in rows) == named


@pytest.mark.parametrize(
    ("kind", "items", "width"),
    [
        ("none", 2_000, 0),
        ("words", 2_000, 400),
        ("read", 25_001, 800),
        ("auto", 25_000, 800),
        ("auto", 25_001, 0),
    ],
)
def test_items_made_of_their_texts_cost_two_products_and_a_map(kind, items, width):
    model, size = Model.of(SETS.backbone), Size(1_000, items, 20_000)
    config = SETS.changed(model={"item_texts": kind})
    free, made = step(size, model, SETS)[0], step(size, model, config)[0]
    assert made.flops - free.flops == 2 * 2 * items * width * 576
    without, parts = (memory.finetuning(size, model, each) for each in (SETS, config))
    assert parts["parameters"] - without["parameters"] == 4 * width * 576
    assert parts["texts of the items"] == 4 * items * width


@pytest.mark.parametrize(
    ("devices", "users", "is_divided"), [(1, 10**6, 0), (2, 10**6, 1), (2, 9, 0)]
)
def test_a_large_user_table_is_divided(devices, users, is_divided):
    given, size = Request("paper-small", {}), Size(users, 5_000, 20 * users)
    found = plan(size, given, device="H100", devices=devices, host_memory=512e9)["settings"]
    assert ["the user table is divided by rows"] * is_divided == [
        row["why"] for row in found if row["setting"] == "torchrun"
    ]


@pytest.mark.parametrize(
    ("users", "processes", "average", "device", "is_lazy"),
    [
        (10**6, 1, 0, None, True),
        (10**6, 2, 0, None, True),
        (10**6, 1, 1, None, False),
        (9, 1, 0, None, False),
        (10**4, 2, 0, None, False),
        (10**6, 1, 0, "H100", False),
    ],
)
def test_users_are_lazy_on_processors(monkeypatch, users, processes, average, device, is_lazy):
    asked, finetuning = [], memory.finetuning
    monkeypatch.setattr(Speed, "of_step", lambda *_, lazy: asked.append(lazy) or 1.0)
    monkeypatch.setattr(calibration, "measure", lambda *_: Speed(*[1.0] * 4))
    monkeypatch.setattr(
        memory,
        "finetuning",
        lambda *of, lazy=False, **how: asked.append(lazy) or finetuning(*of, lazy=lazy, **how),
    )
    given = Request("paper-small", {"finetune": {"average": average}})
    how = {"device": device, "devices": processes, "host_memory": 512e9}
    plan(Size(users, 5_000, 20 * users), given, **how)
    assert asked == [is_lazy] * 2


def test_nothing_passes_over_lazy_users():
    size, model = Size(10_000, 100, 50_000), Model.of(PAPER_SMALL.backbone)
    dense, lazy = (step(size, model, PAPER_SMALL, lazy=lazy) for lazy in (False, True))
    assert dense[0] == lazy[0]
    assert dense[1] - lazy[1] == 28 * 576 * 10_000  # Adam's bytes


@pytest.mark.parametrize(("mode", "devices", "is_sharded"), [("full", 2, True), ("lora", 2, False)])
def test_a_large_trained_backbone_is_sharded(monkeypatch, mode, devices, is_sharded):
    monkeypatch.setattr(sys.modules["cllm4rec.planning.plan"], "SHARDED_FROM", 1)
    request = Request("sets", {"backbone": {"mode": mode}})
    found = plan(SMALL, request, device="H100", devices=devices, host_memory=512e9)
    assert is_sharded == any("sharded" in str(row) for row in found["settings"])


def test_a_gpu_reads_a_step_at_once_where_it_has_room():
    many = SETS.changed(finetune={"batch_users": 2_000})
    whole = 2_000 * document_tokens(SMALL, many)
    model = Model.of(SETS.backbone)
    room = room_for(8e9, 2, 576)
    assert 4096 < room < whole
    assert tokens_at_once(SMALL, model, many, None) == 4096
    assert tokens_at_once(SMALL, model, many, 8e9) == room
    assert tokens_at_once(SMALL, model, many, 80e9) == whole
    assert tokens_at_once(SMALL, model, SETS, 80e9) == 4096 > 64 * document_tokens(SMALL, SETS)
    assert tokens_at_once(SMALL, model, SEQUENCES, 80e9) == SEQUENCES.finetune.batch_tokens
    for config, room in ((many, 8e9), (SETS, None)):
        few = config.changed(device_tokens=1_000)
        assert tokens_at_once(SMALL, model, few, room) == 1_000


def advised_batch(users, batch):
    request = Request("sets", {"finetune": {"batch_users": batch}})
    rows = plan(Size(users, 2_000, users), request, device="H100", host_memory=512e9)["settings"]
    return [row["setting"] for row in rows if row["setting"].startswith("finetune.batch")]


def test_larger_steps_are_advised_for_many_users_and_never_smaller_ones():
    assert advised_batch(1_000_000, 64) == []
    assert advised_batch(2_000_000, 64) == ["finetune.batch_users=128"]
    assert advised_batch(2_000_000, 128) == []
    assert advised_batch(100_000_000, 512) == ["finetune.batch_users=4096"]
    assert advised_batch(100_000_000, 4096) == []


def test_a_step_that_does_not_fit_is_advised_to_be_read_in_parts():
    def advised(given, **where):
        found = plan(LARGE, Request("sets", given), devices=64, host_memory=512e9, **where)
        fits = {row["stage"]: row["fits"] for row in found["memory"]}
        tokens = [row["setting"] for row in found["settings"] if "device_tokens" in row["setting"]]
        return fits["finetuning, each rank"], tokens

    [setting] = advised({}, device="H100")[1]  # of the larger steps that are advised too
    larger = {"finetune": {"batch_users": 4096}}
    assert advised(larger, device="H100") == (False, [setting])
    name, _, tokens = setting.partition("=")
    assert advised({**larger, name: int(tokens)}, device="H100") == (True, [])
    assert not advised({**larger, name: 2 * int(tokens)}, device="H100")[0]
    assert advised(larger, device="H200") == (True, [])
    assert advised(larger, device="L4") == (False, [])  # nor would one token


def test_the_disk_that_prepare_needs_is_planned():
    assert planned(LARGE)["memory"][0]["disk_gb"] == 400  # 80 bytes a row


def test_a_small_size_fits_and_a_large_one_says_what_breaks_first():
    assert planned(SMALL)["breaks"] == []
    assert "linear model's search" in planned(SMALL)["not_in_time"]
    result = planned(LARGE, devices=64)
    assert [row["stage"] for row in result["breaks"]] == ["start", "finetuning, each rank"][
        : len(result["breaks"])
    ]
    assert result["breaks"][0]["because of"] == "factors"
    assert {row["setting"] for row in result["settings"]} >= {"torchrun", "model.linear=false"}


def test_twice_the_users_take_twice_the_time():
    hours = [planned(Size(users, 2_000, 20 * users))["time"] for users in (10**5, 2 * 10**5)]
    for once, twice in zip(*hours, strict=True):
        if "placing" in once["what"] or "all of it" in once["what"]:
            continue  # as many users are validated, and as many texts placed
        factor = 1 if once["what"] == "a million lists" else 2
        assert twice["hours"] == pytest.approx(factor * once["hours"], rel=1e-3)


def test_two_measurements_give_two_prices():
    assert _solved((10.0, 1.0, 23.0), (10.0, 5.0, 35.0)) == pytest.approx((2.0, 3.0))
    alone = _solved((10.0, 1.0, 20.0), (20.0, 5.0, 30.0))
    assert min(alone) == 0
    assert Speed(*alone, 0.0, 0.0).step_per_flop > 0


def test_the_command_prints_json_and_refuses_what_does_not_fit():
    command = [sys.executable, "-m", "cllm4rec", "plan", "--users", "1000", "--items", "500"]
    device = ["--device", "h100", "--json"]
    done = subprocess.run(
        [*command, "--interactions", "9000", *device], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["device"] == "1 x H100"
    with pytest.raises(InputError, match="fewer than --users"):
        planned(Size(10, 10, 5))
    with pytest.raises(InputError, match="no figures; there are A100"):
        plan(SMALL, Request("sets", {}), device="abacus")
