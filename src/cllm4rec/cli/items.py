"""``add-items`` and ``remove-items``: a trained model's catalogue without training."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from cllm4rec.cli import following, options
from cllm4rec.cli.options import run_option, type_of_path
from cllm4rec.cli.output import output_option
from cllm4rec.cli.recommend import ids_in
from cllm4rec.run import RunDir


@click.command("add-items")
@run_option
@click.option(
    "--items",
    type=type_of_path,
    required=True,
    metavar="FILE",
    help="Parquet, CSV or JSON lines: item_id, title or text, other columns as in items.*.",
)
@click.option("--skip", is_flag=True, help="Leave out rows that cannot be added; add the rest.")
@partial(output_option, follow=following.after_items)
def add_items(run: RunDir, items: Path, skip: bool) -> dict[str, Any]:
    """Add items to a trained model by their texts.

    Nothing is trained, and no other item's score changes, but in answers to queries in words. The
    items are in lists, similar items, exports and the web page at once; a running service takes
    them in with SIGHUP, or adds them itself (POST /v1/items). Prints their share of the lists, and
    of the first five places alone, beside their share of the items.

    \b
    Example:
        cllm4rec add-items --run RUN --items new.csv
    """  # noqa: D301
    options.ready(run, items)
    from cllm4rec.stages.add_items import add_items as stage

    return stage(run, items, skip=skip)


@click.command("remove-items")
@run_option
@click.argument("ids", nargs=-1, metavar="[ITEM]...")
@click.option("--items", type=type_of_path, metavar="FILE", help="The items; one id per line.")
@click.option("--all", "everything", is_flag=True, help="All that were added.")
@output_option
def remove_items(
    run: RunDir, ids: tuple[str, ...], items: Path | None, everything: bool
) -> dict[str, Any]:
    """Remove items that were added.

    With the last one removed, the run is what it was before the first was added.

    \b
    Example:
        cllm4rec remove-items --run RUN --all
    """  # noqa: D301
    if bool(ids) + (items is not None) + everything != 1:
        raise click.UsageError("give the ids, --items FILE or --all, one of the three")
    given = list(ids) if items is None else ids_in(items)
    options.ready(run)
    from cllm4rec.stages.add_items import remove_items as stage

    return stage(run, None if everything else given)
