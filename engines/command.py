"""Runs a command's function from the command line: its parameters are the options, its errors one line."""

import sys
from collections.abc import Callable

import typer

from nodes.runtime.errors import UserError


class Stopped(Exception):  # noqa: N818
    """The time given is over; what was done is kept, and the same command goes on from there."""


def command(main: Callable[..., None]) -> None:
    """Exit status 2 with one line on stderr where ``main`` raises UserError, 3 where it is Stopped."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except Stopped as stopped:
        print(stopped)
        raise SystemExit(3) from None
