"""The command line: one command a stage, each a thin call of the library.

Exit codes: 0 done, 1 failed (with the reason), 2 wrong use.
"""

from __future__ import annotations

import os
import sys

import typer

from fairlead.cli import lab, money, receive, stages
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
for _command in (*stages.COMMANDS, *receive.COMMANDS, *money.COMMANDS, *lab.COMMANDS):
    app.command()(_command)


def main() -> None:
    """Run the command line; errors that a user can mend are one line, without a traceback."""
    try:
        app()
    except FairleadError as fault:
        sys.stderr.write(f"fairlead: {' '.join(str(fault).split())}\n")
        sys.exit(2 if isinstance(fault, UsageError) else 1)
    except KeyboardInterrupt:
        sys.stderr.write("fairlead: stopped\n")
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
