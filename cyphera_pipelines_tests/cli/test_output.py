"""What people see: in a narrow terminal, and while they wait."""

import io
import re
import sys
from uuid import UUID

import pytest

from cyphera_pipelines.cli import progress, working
from cyphera_pipelines.cli.output import print_remarks, print_table, short_ids
from cyphera_pipelines.cli.progress import Seen, watch
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import EntityProgress
from cyphera_pipelines.model.waiting import Waiting, WaitingFor, utc
from cyphera_pipelines_tests.api.conftest import until

ID = UUID("f8812823-701b-4693-86b2-26a01a3a0a51")
LONG = "The API key may not list invoices. Give the key the permission rak_invoice_read, or leave invoices out."


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self) -> bool:
        return True


def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns, to which everything goes from now on."""
    terminal = Terminal()
    for name, value in {"COLUMNS": "80", "TERM": "xterm-256color", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_a_list_of_sessions_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = narrow_terminal(monkeypatch)
    columns = ("SESSION", "SOURCE", "TYPE", "STATUS", "OBJECTS#", "STARTED")
    row = ("f8812823", "northwind-trading:stripe", "initial_sync", "completed", 1_234_567, "59 min ago")
    print_table(columns, [row], empty="")
    print_remarks([("f8812823", LONG)])
    lines = re.sub(r"\x1b\[[0-9]*m", "", narrow.getvalue()).splitlines()
    assert lines[1].split() == ["f8812823", *row[1:4], "1,234,567", "59", "min", "ago"], "in one line"
    assert all(len(line) <= 80 for line in lines)
    assert " ".join(" ".join(lines[2:]).split()) == f"f8812823: {LONG}"


def test_ids_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    other = UUID("f8812823-7011-4693-86b2-26a01a3a0a51")
    assert short_ids([ID]) == {ID: "f8812823"}
    assert short_ids([ID, other]) == {ID: "f8812823-701b", other: "f8812823-7011"}


def test_who_waits_without_a_terminal_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "SPEAK_EVERY", 0.05)
    monkeypatch.setattr(sys, "stderr", piped := io.StringIO())
    with working.working("Upgrading the schema"):
        until(lambda: piped.getvalue().count("Upgrading the schema: ") == 2)
    said = piped.getvalue()
    assert said.splitlines()[0] == "Upgrading the schema: 0 s so far."


def seen() -> Seen:
    counts = vars(EntityProgress(estimated=100, fetched=50))
    since = utc(1_772_000_000)
    return Seen([(Entity.SUBSCRIPTIONS, counts)], 3, Waiting(WaitingFor.PROVIDER, LONG, since, utc(1_772_000_030)))


WAITING = "waiting for the provider since 06:13:20 UTC, tried again at 06:13:50"


def test_a_sync_that_waits_says_so_beneath_its_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = narrow_terminal(monkeypatch)
    with watch("northwind-trading:stripe", seen):
        until(lambda: WAITING in narrow.getvalue())
    shown = narrow.getvalue()
    assert "3 requests were made again" in shown
    assert "50/100" in shown


def test_a_sync_that_waits_goes_on_saying_so_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LONGEST_SILENCE", 0.05)
    monkeypatch.setattr(sys, "stderr", piped := io.StringIO())
    with watch("acme:stripe", seen):
        until(lambda: piped.getvalue().count("s so far)") > 1)
    assert f"acme:stripe: subscriptions 50/100; 3 requests were made again; {WAITING}: {LONG}" in piped.getvalue()
    assert "acme:stripe: as before (" in piped.getvalue()
