"""Every mistake gets one plain line, an exit code, and no traceback."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cyphera_pipelines_tests.cli.command import DEADLINE_SECONDS, PROGRAM, Cyphera, ForkedCyphera, without_signs_of_life
from cyphera_pipelines_tests.cli.conftest import AddSource

ADD = ("source", "add", "{free}", "stripe", "--api-key-stdin")
KEY = "sk_test_neverstored123"


@dataclass(frozen=True)
class Mistake:
    """A command, and what its one line must say. `{taken}` is a workspace with a source, `{free}` one without."""

    arguments: tuple[str, ...]
    says: str
    stdin: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([*self.arguments, *(f"{name}={value}" for name, value in self.environment.items())])


def with_database_url(url: str, says: str) -> Mistake:
    return Mistake(("workspace", "list"), says, environment={"CYPHERA_DATABASE_URL": url})


MISTAKES = [
    Mistake(("nonsense",), "No such command 'nonsense'. See: cyphera --help"),
    Mistake(("source", "add"), "Missing argument 'slug'. See: cyphera source add --help"),
    Mistake(("sync", "{taken}", "stripe", "--nonsense"), "No such option: --nonsense. See: cyphera sync --help"),
    Mistake(("workspace", "create", "Bad_Slug"), "'Bad_Slug' is not a workspace slug"),
    Mistake(("workspace", "create", "{taken}"), "Workspace '{taken}' exists already"),
    Mistake((*ADD[:2], "nobody", *ADD[3:]), "There is no workspace 'nobody'", KEY),
    Mistake((*ADD[:2], "{taken}", *ADD[3:]), "Workspace '{taken}' has an active stripe source already", KEY),
    Mistake((*ADD[:3], "paypal", *ADD[4:]), "Unknown provider 'paypal': choose from chargebee, stripe.", KEY),
    Mistake(ADD[:-1], "Give the API key on standard input, with --api-key-stdin", KEY),
    Mistake(ADD, "The API key on standard input is empty.", "\n"),
    Mistake(ADD, "The API key holds characters that no key has", "not a key\n"),
    Mistake((*ADD, "--webhook-secret-env", "UNSET"), "The environment variable UNSET is not set or empty.", KEY),
    Mistake((*ADD, "--base-url", "http://example.com"), "may not point to 'example.com'", KEY),
    Mistake((*ADD, "--base-url", "http://a:b@127.0.0.1"), "must not hold a user name, a query or a fragment", KEY),
    Mistake((*ADD, "--base-url", "127.0.0.1:80"), "is not an address", KEY),
    Mistake(("source", "test", "{free}", "stripe"), "There is no active source '{free}:stripe'"),
    Mistake(("source", "remove", "{free}", "stripe"), "Workspace '{free}' has no active stripe source"),
    Mistake(("sync", "{free}", "stripe"), "There is no active source '{free}:stripe'"),
    Mistake(("sync", "{taken}", "stripe", "--entities", "products,refunds"), "Unknown entity 'refunds': choose from"),
    Mistake(("sync", "{taken}", "stripe", "--batch-size", "0"), "greater than or equal to 1"),
    Mistake(("sync", "{taken}", "stripe", "--batch-size", "101"), "less than or equal to 100"),
    Mistake(("sessions", "nobody"), "There is no workspace 'nobody'"),
    Mistake(("events", "nonsense"), "'nonsense' is not a session's id"),
    Mistake(("events", "00000000-0000-4000-8000-000000000000"), "There is no session"),
    Mistake(("up", "--port", "{busy_port}"), "Port {busy_port} for the Dagster UI is in use"),
    Mistake(("up", "--port", "21320", "--api-port", "21320"), "--port and --api-port are both 21320; choose another"),
    Mistake(("up", "--sandbox", "--sandbox-port", "3000"), "--port and --sandbox-port are both 3000; choose another"),
    Mistake(("workspace", "create", "x", "--name", "\udcff"), r"The argument \xff is not UTF-8."),
    Mistake(("export", "{taken}", "customers", "--where", "name=\udcff"), r"The argument name=\xff is not UTF-8."),
    Mistake(
        ("sync", "{taken}", "stripe", "--entities", ""), "--entities names none: name some, as in customers,prices"
    ),
    Mistake(("verify", "{taken}", "stripe", "--entities", " ,"), "--entities names none"),
    Mistake(
        ("source", "update", "{taken}", "stripe", "--api-key-stdin"),
        "This is a live mode key, but {taken}:stripe is a source in test mode. Give a test mode key, or connect the "
        "live account instead: cyphera source remove {taken} stripe, then cyphera source add {taken} stripe",
        "sk_live_neverstored123\n",
    ),
    Mistake((*ADD, "--live-mode"), "This is a test mode key. Give a live mode key, or leave out --live-mode.", KEY),
    with_database_url("", "CYPHERA_DATABASE_URL is empty; unset it to use the embedded Postgres"),
    with_database_url("nonsense", "CYPHERA_DATABASE_URL is not a database URL"),
    with_database_url("mysql://root@localhost/shop", "CYPHERA_DATABASE_URL names 'mysql'"),
    with_database_url("postgresql://app:s3cret-password@db.internal", "CYPHERA_DATABASE_URL names no database"),
    with_database_url("postgresql://app:s3cret-password@127.0.0.1:{closed_port}/shop", "cannot be reached"),
    Mistake(("source", "list"), "cannot be used", environment={"CYPHERA_HOME": "/dev/null/home"}),
]


@dataclass(frozen=True)
class Names:
    """What stands for the braces in a mistake."""

    values: dict[str, str]

    def put_into(self, text: str) -> str:
        for name, value in self.values.items():
            text = text.replace(f"{{{name}}}", value)
        return text


@pytest.fixture(scope="module")
def names(cyphera: Cyphera, add_source: AddSource) -> Iterator[Names]:
    cyphera("workspace", "create", "without-source").done()
    with socket.socket() as busy, socket.socket() as closed:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        closed.bind(("127.0.0.1", 0))  # held, but it does not listen
        ports = {"busy_port": str(busy.getsockname()[1]), "closed_port": str(closed.getsockname()[1])}
        yield Names({"taken": add_source(), "free": "without-source", **ports})


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_one_sentence_and_an_exit_code(mistake: Mistake, forked: ForkedCyphera, names: Names) -> None:
    environment = {name: names.put_into(value) for name, value in mistake.environment.items()}
    outcome = forked(*map(names.put_into, mistake.arguments), stdin=mistake.stdin, **environment)
    assert names.put_into(mistake.says) in outcome.error()
    assert KEY not in outcome.err
    assert "s3cret-password" not in outcome.err


def test_ctrl_c_while_modules_are_imported_is_one_line(cyphera: Cyphera) -> None:
    process = cyphera.start("workspace", "list", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert process.stderr is not None
    while "typer" not in process.stderr.readline():
        # Told while the command imports what it needs.
        pass
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=DEADLINE_SECONDS)
    assert [line for line in told.splitlines() if not line.startswith("import time:")] == ["Interrupted."]
    assert process.returncode == 130


@pytest.mark.parametrize(
    "arguments", [("status",), ("openapi",), ("export", "{taken}", "customers"), ("errors", "--json")]
)
def test_a_full_disk_is_told_in_one_line(arguments: tuple[str, ...], cyphera: Cyphera, names: Names) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [PROGRAM, *map(names.put_into, arguments)],
            stdout=full,
            stderr=subprocess.PIPE,
            env=cyphera.environment,
            text=True,
            check=False,
        )
    told = without_signs_of_life(process.stderr)
    assert re.fullmatch(r"Error: The output cannot be written: No space left on device\. .+ \[file-unusable\]\n", told)
    assert process.returncode == 1


def test_debug_shows_the_traceback_before_the_same_line(cyphera: Cyphera) -> None:
    outcome = cyphera("--debug", "sessions", "nobody")
    assert (outcome.code, outcome.out) == (1, "")
    assert re.search(
        r"^Traceback \(most recent call last\)[^§]*^Error: There is no workspace 'nobody'", outcome.err, re.MULTILINE
    )


def test_without_a_command_the_help_is_shown(cyphera: Cyphera) -> None:
    outcome = cyphera()
    assert (outcome.code, outcome.err) == (1, "")
    for command in ("workspace", "source", "sync", "sessions", "events", "db", "up", "demo", "sandbox"):
        assert f" {command} " in outcome.out


def test_a_reader_that_has_seen_enough_causes_no_traceback(cyphera: Cyphera) -> None:
    process = cyphera.start("workspace", "list", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert without_signs_of_life(process.stderr.read()) == ""
    assert process.wait(DEADLINE_SECONDS) == 0
