"""A command is imported when it is named: that all can be, and that naming one brings no other along."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperGroup

from cyphera_pipelines.cli.app import app


def _all_commands(group: TyperGroup, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, command in group.commands.items():
        yield (*words, name), command
        if isinstance(command, TyperGroup):
            yield from _all_commands(command, (*words, name))


def test_every_command_can_be_loaded_and_says_what_it_does() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    found = dict(_all_commands(group))
    assert {("sync",), ("workspace", "create"), ("workspace", "allow-account"), ("alerts", "channels", "add")} <= set(
        found
    )
    assert [words for words, command in found.items() if not getattr(command, "help", None)] == []
    assert [words for words, command in found.items() if getattr(command, "name", None) != words[-1]] == []


@pytest.mark.parametrize("arguments", [("--version",), ("status", "--help")])
def test_a_short_command_loads_neither_dagster_nor_the_api_nor_the_providers(arguments: tuple[str, ...]) -> None:
    program = (
        "import atexit, sys; from cyphera_pipelines.cli import main\n"
        "atexit.register(lambda: sys.stderr.write(','.join(sys.modules)))\n"
        f"sys.argv = ['cyphera', *{arguments!r}]; main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.split(","))
    assert "cyphera_pipelines.cli.app" in loaded
    heavy = {"dagster", "fastapi", "alembic", "apprise", "httpx", "requests", "stripe", "cyphera_pipelines.sync.engine"}
    assert loaded & heavy == set()
