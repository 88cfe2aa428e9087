"""``python launch.py models``: public models, from their makers or a mirror to this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from engines.catalogue import Model
from engines.store import Store, Told, mirror, open_store
from nodes.runtime.errors import UserError

app = typer.Typer(
    help="Public models: list, pull, verify, mirror.", no_args_is_help=True, rich_markup_mode=None
)

Names = Annotated[
    list[str] | None, typer.Argument(help="Which; all of them where none is named.", metavar="NAME")
]
Mirror = Annotated[
    str, typer.Option("--mirror", help="A folder or address that holds the downloads.", metavar="WHERE")
]


@app.command("list")
def list_models() -> None:
    """Every model there is, and whether it is here."""
    store = open_store()
    table = Table(box=None, pad_edge=False, caption=f"kept in {store.folder}", caption_justify="left")
    for column in ("name", "here", "for", "download", "licence", "in place of"):
        table.add_column(column, no_wrap=column == "name", overflow="fold")
    for name, model in store.catalogue.models.items():
        here = "yes" if store.has(name) else "no"
        table.add_row(name, here, model.task, _megabytes(model), model.licence, model.replaces)
    Console(highlight=False).print(table)


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(help="Which models.", metavar="NAME")], source: Mirror = ""
) -> None:
    """Download models and check them: then hearsee finds them."""
    store = open_store()
    for name in names:
        model = store.catalogue.model(name)
        typer.echo(
            f"{name}: {_megabytes(model)}, licence {model.licence}. {' '.join(model.provenance.split())}"
        )
        with _progress(name, model) as told:
            fresh = store.pull(name, source, told)
        typer.echo(f"{name}: {'checked and placed' if fresh else 'already here'}: {store.folder / name}")


@app.command()
def verify(names: Names = None) -> None:
    """Compare the models that are here with their sums.

    Exit status 1 where one is not right.
    """
    store = open_store()
    wrong = [not _verified(store, name, asked=bool(names)) for name in names or store.catalogue.models]
    raise typer.Exit(any(wrong))


@app.command("mirror")
def mirror_models(
    folder: Annotated[Path, typer.Argument(help="Where to; made where it is missing.", metavar="FOLDER")],
    names: Names = None,
    source: Mirror = "",
) -> None:
    """Download models into a folder, to pull from without internet."""
    store = open_store()
    for name in names or store.catalogue.models:
        model = store.catalogue.model(name)
        with _progress(name, model) as told:
            fresh = mirror(model, folder, source or store.catalogue.mirror, told)
        typer.echo(f"{name}: {'checked' if fresh else 'already there'}: {folder / model.download}")
    typer.echo(f"on the other machine: python launch.py models pull NAME --mirror {folder}")


def _verified(store: Store, name: str, asked: bool) -> bool:
    """Says how a model is; one that was never pulled is wrong only where it was asked for."""
    if not asked and not (store.folder / name).is_dir():
        typer.echo(f"{name}: not here")
        return True
    try:
        files = store.find(name)
    except UserError as error:
        typer.echo(f"{name}: {error}")
        return False
    typer.echo(f"{name}: right, {len(files)} {'file' if len(files) == 1 else 'files'}")
    return True


@contextmanager
def _progress(name: str, model: Model) -> Iterator[Told]:
    """A bar on the terminal; nothing where there is none."""
    console = Console(stderr=True)
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=model.bytes)
        yield lambda have: progress.update(task, completed=have)


def _megabytes(model: Model) -> str:
    return f"{model.bytes / 1e6:.{0 if model.bytes > 1e7 else 1}f} MB"
