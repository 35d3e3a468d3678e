"""Commands whose modules are imported when somebody names them: most of a short command's time is its imports."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

Places = Mapping[str, str]
"""Where each command is: its words, and the module beneath `cyphera_pipelines.cli` with what to take from it."""


def group_of(places: Places) -> type[TyperGroup]:
    """The class of a group with the commands at these places.

    A place holds the function of one command, or a Typer of several: `places` may add further ones to that, by two
    words.
    """

    class CommandsAtPlaces(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "commands": {}})
            self.commands = commands

    commands: Any = _Commands(places)
    return CommandsAtPlaces


class _Commands(Mapping[str, Any]):
    """Commands by their first word, in the order of their places. To look one up imports it; to list names does not."""

    def __init__(self, places: Places) -> None:
        self._names = tuple(name for name in places if " " not in name)
        # Once only: adding to a Typer of a module changes that.
        self._load = cache(lambda name: _load(name, places))

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _load(name: str, places: Places) -> Any:
    holder = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    found = _at(places[name])
    _add(holder, name, found)
    for words in places:
        group, _space, rest = words.partition(" ")
        if rest and group == name:
            _add(found, rest, _at(places[words]))
    return typer.main.get_group(holder).commands[name]


def _at(place: str) -> Any:
    module, _dot, attribute = place.partition(".")
    return getattr(import_module(f"cyphera_pipelines.cli.{module}"), attribute)


def _add(group: typer.Typer, name: str, what: Any) -> None:
    if isinstance(what, typer.Typer):
        group.add_typer(what, name=name)
    else:
        group.command(name)(what)
