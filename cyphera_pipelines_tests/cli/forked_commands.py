"""Runs `cyphera` commands in forks of one process that has imported it: most of a command's time is its imports.

One command per line of standard input, as JSON; one exit code per line of output. Each fork has arguments, environment
and standard streams of its own, and ends as any Python program does.
"""

import gc
import json
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from cyphera_pipelines.cli import main as cyphera
from cyphera_pipelines.cli.app import app


def become(command: dict[str, Any]) -> None:
    """Turn this process into what `cyphera` would be when it has started."""
    streams = ((0, command["stdin"], os.O_RDONLY), (1, command["out"], os.O_WRONLY), (2, command["err"], os.O_WRONLY))
    for number, path, flags in streams:
        os.dup2(os.open(path, flags), number)
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 (the old one has read ahead)
    os.environ.clear()
    os.environ.update(command["environment"])
    sys.argv = ["cyphera", *command["arguments"]]


def main() -> None:
    commands = typer.main.get_command(app)
    assert isinstance(commands, TyperGroup)
    list(commands.commands.values())  # imports them all
    gc.freeze()  # a fork that looks through all of this for garbage would copy it all
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            cyphera()
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
