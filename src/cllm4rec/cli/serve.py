"""``cllm4rec serve``: a run's model over HTTP."""

from pathlib import Path
from typing import Any

import click

from cllm4rec.cli import options
from cllm4rec.cli.failures import full_disk_refused
from cllm4rec.cli.options import run_option, type_of_path
from cllm4rec.errors import InputError
from cllm4rec.run import RunDir, refuse_inside_run


@click.command()
@run_option
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Listen here. [127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, metavar="N", help="0: any free. [8000]"
)
@click.option(
    "--keys", type=type_of_path, metavar="FILE", help="API keys, one per line; or CLLM4REC_KEYS."
)
@click.option("--feedback", type=type_of_path, metavar="DIR", help="Feedback log. [RUN/feedback]")
@click.option(
    "--batch-tokens", type=click.IntRange(min=64), metavar="N", help="Of one pass. [2048]"
)
@click.option(
    "--max-wait-ms", type=click.FloatRange(min=1), metavar="MS", help="Longer: 429. [as measured]"
)
def serve(
    run: RunDir, host: str, port: int, keys: Path | None, feedback: Path | None, **tuning: Any
) -> None:
    """Answer over HTTP: lists, similar items, feedback.

    SIGHUP loads the run's model anew, SIGTERM ends the service in good order. Listens on this
    machine only unless told otherwise; for others to reach it, it must have keys.
    """
    options.ready(run)
    try:
        from cllm4rec.service.server import serve as serve_until_told
        from cllm4rec.service.settings import ServiceSettings, read_keys
    except ModuleNotFoundError as error:
        raise InputError(
            f"serving needs {error.name}; in the checkout: "
            f"pip install '.[serve]' -c constraints.txt"
        ) from None
    if feedback is not None and feedback.resolve() != run.file("feedback").resolve():
        refuse_inside_run(feedback, "--feedback")
    given = {name: value for name, value in tuning.items() if value is not None}
    settings = ServiceSettings(
        run=run.path, host=host, port=port, keys=read_keys(keys), feedback=feedback, **given
    )
    with full_disk_refused(settings.feedback_folder, "feedback"):
        serve_until_told(settings)
