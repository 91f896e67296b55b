"""A toy run whose titles try to be HTML."""

from html import escape
from pathlib import Path

from cllm4rec import progress
from cllm4rec.run import RunDir
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support.input_folder import write_rows
from support.toy_run import toy_config

SCRIPT = "<script>alert('title')</script>"
QUOTES = "Tom & \"Jerry\" <b onclick='x'>'s"
GENRES = ["Comedy", "Comedy, Drama", "Drama", "Horror", "Drama, War"]
TRADES = ("artist", "<i>baker</i>")
USERS, ITEMS, EACH = 24, 40, 12


def item_rows() -> list[dict[str, str | None]]:
    """Item ids ``i00`` on; two titles that look like HTML, one that is missing."""
    titles: list[str | None] = [f"Film {number:02}" for number in range(ITEMS)]
    # HTML in a file is read as its text; this text looks like HTML, and must not act as it.
    titles[:3] = [escape(SCRIPT, quote=False), escape(QUOTES, quote=False), None]
    return [
        {
            "item_id": f"i{number:02}",
            "title": titles[number],
            "text": f"A story in {number} parts, <i>told</i> slowly." if number % 2 else None,
            "genres": GENRES[number % len(GENRES)],
            "year": str(1980 + number),
        }
        for number in range(ITEMS)
    ]


def make_page_run(folder: Path, backbone: Path) -> RunDir:
    """Prepare, train and evaluate; takes seconds."""
    source, run = folder / "source", RunDir(folder / "run")
    log = [
        {
            "user_id": f"u{user:02}",
            "item_id": f"i{(3 * user + place * (1 + user % 3)) % ITEMS:02}",
            "timestamp": 1000 * user + place,
        }
        for user in range(USERS)
        for place in range(EACH)
    ]
    write_rows(source, "interactions", log)
    write_rows(source, "items", item_rows())
    people = [
        {"user_id": f"u{user:02}", "age": 20 + user, "trade": TRADES[user % 2]}
        for user in range(USERS)
    ]
    write_rows(source, "users", people)
    config = toy_config(
        backbone,
        "finetune.epochs=1",
        "evaluate.baselines=['popularity', 'ease']",
    )
    with progress.quiet():
        prepare(source, run, split=None, protocol="paper", config=config)
        train(run, config)
        evaluate(run)
    return run
