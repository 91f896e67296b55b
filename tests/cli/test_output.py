"""What a command shows before it has something to say."""

import click

from cllm4rec import progress
from cllm4rec.cli.output import output_option


def test_a_command_shows_that_it_loads_libraries_until_its_first_task(monkeypatch):
    shown: list[tuple[str, bool]] = []

    def stage() -> dict[str, int]:
        opening = progress._opening
        assert opening is not None
        with progress.task("Ranking"):
            shown.append((opening.description, progress._opening is None))
        return {}

    click.command()(output_option(stage)).main([], standalone_mode=False)
    assert shown == [("Loading libraries", True)]
