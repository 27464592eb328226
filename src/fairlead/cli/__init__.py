"""The command line: one command a stage, each a thin call of the library.

Exit codes: 0 done, 1 failed (with the reason), 2 wrong use, 130 or 143 stopped by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import typer

from fairlead.cli import doctor, keys, lab, money, publishing, receive, registry, serve, show, stages, watch, weights
from fairlead.errors import FairleadError, UsageError

__all__ = ["app", "main"]

app = typer.Typer(
    name="fairlead",
    help="The routing brain you train on your own LLM gateway's logs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _command in (
    *stages.COMMANDS,
    *publishing.COMMANDS,
    *weights.COMMANDS,
    *receive.COMMANDS,
    *serve.COMMANDS,
    *money.COMMANDS,
    *registry.COMMANDS,
    *lab.COMMANDS,
    *watch.COMMANDS,
    *doctor.COMMANDS,
):
    app.command()(_command)
app.add_typer(keys.app, name="keys", help="Make, list, rotate and revoke the keys of the scoring API.")


def main() -> None:
    """Run the command line; errors that a user can mend are one line, without a traceback."""
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        app()
    except FairleadError as fault:
        sys.stderr.write(f"fairlead: {show.plain(str(fault))}\n")
        sys.exit(2 if isinstance(fault, UsageError) else 1)
    except _StoppedError as fault:
        sys.stderr.write("fairlead: stopped; what was done stays, run it again for the rest\n")
        sys.exit(128 + int(fault.args[0]))
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _StoppedError(BaseException):
    """A signal asks to end. Nothing on the way may take it for a fault of its own, so it is no Exception."""


def _stop(number: int, _: Any) -> None:
    """End by unwinding, so that what is half-written is removed and a lock is given back."""
    raise _StoppedError(number)
