"""How commands print: words for people, JSON for programs, progress on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

__all__ = ["AsJson", "fields", "plain", "progress", "result"]

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def result(value: Any, words: str, as_json: bool) -> None:
    """Print a result: as one JSON value, or in words."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if as_json else words)


def plain(text: str) -> str:
    """Give a text on one line and without what could steer a terminal: a path may hold anything.

    >>> plain("a\\nb \\x1b[31mred")
    'a b \\\\x1b[31mred'
    """
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def fields(pairs: dict[str, Any]) -> str:
    """Lay names and values out in two columns."""
    width = max(map(len, pairs))
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in pairs.items())


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Callable[[str, float], None]]:
    """Show a bar on standard error while work goes on; call what it gives with a word and a share from 0 to 1."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[step]}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(what, total=1.0, step="")

        def tell(step: str, share: float) -> None:
            bar.update(task, completed=share, step=step)

        yield tell
