"""The commands; each calls one function of ``cllm4rec.stages``.

Heavy imports happen only inside commands, so that ``cllm4rec --help`` answers at once.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from cllm4rec.cli import brief, following, options
from cllm4rec.cli.bench import bench
from cllm4rec.cli.failures import exit_code
from cllm4rec.cli.items import add_items, remove_items
from cllm4rec.cli.options import (
    replaceable,
    run_option,
    run_settings_options,
    settings_options,
    together,
    type_of_path,
)
from cllm4rec.cli.output import output_option, result_of
from cllm4rec.cli.plan import plan
from cllm4rec.cli.recommend import recommend, similar
from cllm4rec.cli.serve import serve
from cllm4rec.config import Protocol, request_of
from cllm4rec.errors import InputError
from cllm4rec.run import RunDir, end_at_once, is_alone, refuse_inside_run, refuse_unwritable


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88})
@click.version_option(package_name="cllm4rec")
def cllm4rec() -> None:
    """Collaborative large language models for recommendation.

    \b
    The main path:
        cllm4rec data movielens-100k --to DATA
        cllm4rec prepare --data DATA --run RUN
        cllm4rec train --run RUN
        cllm4rec evaluate --run RUN
        cllm4rec recommend --run RUN --all --k 100 --out topk.parquet
    """  # noqa: D301  (the backspace is click's mark for "do not wrap")


@cllm4rec.command()
@click.argument("name")
@click.option("--to", type=type_of_path, required=True, metavar="DIR", help="Folder to write.")
@partial(output_option, follow=following.after_data)
def data(name: str, to: Path) -> dict[str, Any]:
    """Write a known data set as an input directory.

    NAME is movielens-100k (real, fetched from the package index) or planted-world (synthetic, with
    a known right answer).
    """
    from cllm4rec.data.sources import SOURCES

    if name not in SOURCES:
        raise click.UsageError(f"no data set {name!r}; there are {', '.join(SOURCES)}")
    refuse_inside_run(to, "--to")
    if to.is_dir() and any(to.iterdir()):
        raise InputError(f"--to {to} is not empty; choose another folder")
    SOURCES[name](to)
    return {"name": name, "folder": to, "written": sorted(path.name for path in to.iterdir())}


@cllm4rec.command()
@click.option(
    "--data",
    type=type_of_path,
    required=True,
    metavar="PATH",
    help="The log: a file, or a folder with interactions.* and, if there are any, items.*, users.*"
    " and reviews.*.",
)
@click.option("--split", type=type_of_path, metavar="FILE", help="Split file to keep to.")
@click.option("--protocol", type=click.Choice(get_args(Protocol)), help="How to split. [paper]")
@run_option
@click.option(
    "--replace", is_flag=True, help="Give a trained run other data; its model and results go."
)
@settings_options
@partial(output_option, brief=brief.prepared, follow=following.after_prepare)
def prepare(
    data: Path,
    split: Path | None,
    protocol: str | None,
    run: RunDir,
    replace: bool,
    config: str | None,
    overrides: tuple[str, ...],
) -> dict[str, Any]:
    """Read, check and split the data into a run."""
    if split is not None and protocol is not None:
        raise click.UsageError("--split and --protocol exclude each other; give one of them")
    settings = request_of(config, overrides)
    from cllm4rec.stages.prepare import prepare as stage

    return stage(
        data, run, split=split, protocol=protocol or "paper", config=settings, replace=replace
    )


@cllm4rec.command()
@run_option
@run_settings_options
@output_option
@together
def initialise(run: RunDir, config: str | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Compute initial item vectors and the linear model.

    Both are tuned on the validation part.
    """
    options.ready(run, after="prepare", config=config, overrides=overrides)
    from cllm4rec.stages.initialise import initialise as stage
    from cllm4rec.stages.prepare import configure

    return stage(run, configure(run, config, overrides))


@cllm4rec.command()
@run_option
@run_settings_options
@output_option
@together
def pretrain(run: RunDir, config: str | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Pretrain with mutual regularisation.

    Trains the content and the collaborative model in turns, each pulled towards the other. Does
    nothing if pretrain.enabled is false.
    """
    options.ready(run, after="prepare", config=config, overrides=overrides)
    from cllm4rec.stages.prepare import configure
    from cllm4rec.stages.pretrain import pretrain as stage

    return stage(run, configure(run, config, overrides))


@cllm4rec.command()
@run_option
@run_settings_options
@output_option
@together
def finetune(run: RunDir, config: str | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Finetune for recommendation.

    Predicts masked items of each history or, in time order, every next item. Keeps the epoch that
    is best on the validation part.
    """
    options.ready(run, after="prepare", config=config, overrides=overrides)
    from cllm4rec.stages.finetune import finetune as stage
    from cllm4rec.stages.prepare import configure

    return stage(run, configure(run, config, overrides))


@cllm4rec.command()
@run_option
@run_settings_options
@partial(output_option, brief=brief.trained, follow=following.after_training)
@together
def train(run: RunDir, config: str | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Initialise, pretrain if enabled, finetune.

    Resumes an interrupted training. Several processes that torchrun starts train together:
    docs/scale.md.
    """
    options.ready(run, after="prepare", config=config, overrides=overrides)
    from cllm4rec.stages.prepare import configure
    from cllm4rec.stages.train import train as stage

    return stage(run, configure(run, config, overrides))


@cllm4rec.command()
@run_option
@click.option("--to", type=type_of_path, required=True, metavar="DIR", help="The new run's folder.")
@click.option("--keep-test", is_flag=True, help="Leave the test part out, for `evaluate`.")
@partial(output_option, brief=brief.trained, follow=following.after_training)
@together
def refit(run: RunDir, to: Path, keep_test: bool) -> dict[str, Any]:
    """Train once more, on what was held out too, before a model goes to work.

    Nothing is chosen again: settings, epochs and blend weight are those that validation chose in
    RUN, which stays and says how good the model is. Resumes an interrupted call.
    """
    options.ready(run)
    place = RunDir(to)
    from cllm4rec.stages.made_from import is_made_from

    is_made_from(place, run, keep_test=keep_test)
    refuse_unwritable(to, "--to")
    from cllm4rec.stages.refit import refit as stage

    return stage(run, place, keep_test=keep_test)


@cllm4rec.command()
@run_option
@click.option(
    "--topk",
    type=type_of_path,
    metavar="PATH",
    help="Score this top-k file, or folder of shards, instead.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="evaluate.KEY=VALUE",
    help="Other baselines, their settings, or bootstrap; the run keeps them; may be repeated.",
)
@partial(output_option, brief=brief.evaluated, follow=following.after_evaluate)
def evaluate(run: RunDir, topk: Path | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Evaluate on the test part, next to baselines.

    Ranks the whole catalogue; the baselines are tuned on the validation part. Others than those of
    the run: --set 'evaluate.baselines=["sasrec"]'.
    """
    after = "finetune" if topk is None else "prepare"
    options.ready(run, topk, after=after, overrides=overrides, measured=True)
    from cllm4rec.stages.evaluate import evaluate as stage

    return stage(run, topk=topk, overrides=overrides)


cllm4rec.add_command(recommend)
cllm4rec.add_command(similar)
cllm4rec.add_command(add_items)
cllm4rec.add_command(remove_items)


@cllm4rec.command()
@run_option
@click.option(
    "--to",
    type=type_of_path,
    required=True,
    metavar="DIR",
    callback=replaceable,
    help="Folder to write.",
)
@click.option(
    "--k",
    type=click.IntRange(min=1),
    default=100,
    metavar="N",
    help="Length of the lists that recall is measured on. [100]",
)
@click.option("--onnx/--no-onnx", default=True, help="Whether to export the ONNX model too.")
@click.option(
    "--int8", is_flag=True, help="Write the ONNX model with eight-bit products too, and measure it."
)
@partial(output_option, brief=brief.exported)
def export(run: RunDir, to: Path, k: int, onnx: bool, int8: bool) -> dict[str, Any]:
    """Export vectors, faiss indexes and an ONNX model.

    The folder can be served without torch; its README explains the scores. Needs the extra export,
    in the checkout: pip install '.[export]' -c constraints.txt
    """
    options.ready(run)
    from cllm4rec.export import export_run

    return export_run(run, to, k=k, onnx=onnx, int8=int8)


@cllm4rec.command()
@click.option(
    "--run",
    type=type_of_path,
    default=Path("runs/demo"),
    metavar="DIR",
    callback=lambda _context, _option, path: RunDir(path),
    help="The folder this run lives in. [runs/demo]",
)
@click.option("--split", type=type_of_path, metavar="FILE", help="Split file to keep to.")
@settings_options
@partial(output_option, brief=brief.demonstrated, follow=following.after_demo)
def demo(
    run: RunDir, split: Path | None, config: str | None, overrides: tuple[str, ...]
) -> dict[str, Any]:
    """Run all stages on real data, in minutes.

    MovieLens-100K and SmolLM2-135M: prepare, train, evaluate, recommend.
    """
    settings = request_of(config, overrides)
    from cllm4rec.stages.demo import demo as stage

    return stage(run, settings, split=split)


cllm4rec.add_command(bench)
cllm4rec.add_command(plan)
cllm4rec.add_command(serve)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the program: run one command and exit.

    Exit codes: 0 done; 2 wrong input or usage, one line on standard error; 130 interrupted;
    143 likewise, by SIGTERM;
    1 a fault of this program, with its traceback, or a bench with a cell that failed.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    code = exit_code(lambda: result_of(cllm4rec, given))
    if code and not is_alone():
        end_at_once(code)
    sys.exit(code)
