"""Servers of other versions of Postgres than the embedded one, wherever this machine has one."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2

from cyphera_pipelines.local.account import account_for
from cyphera_pipelines.local.cluster import MAJOR_VERSION
from cyphera_pipelines.local.cluster import installation as embedded_installation

ALWAYS_THERE = (16, MAJOR_VERSION)
FURTHER_FOLDERS = "POSTGRES_INSTALLATIONS"
"""A variable: folders with other versions' `bin`, separated by colons."""
_SEARCHED = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt", "/usr/local/opt")


def installations() -> dict[int, Path]:
    """By major version: a folder with its `bin`."""
    wheel = find_spec("pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    known = [Path(wheel.origin).resolve().parent / "pginstall", embedded_installation()]
    found = [folder for each in _SEARCHED if Path(each).is_dir() for folder in sorted(Path(each).iterdir())]
    named = [Path(each) for each in os.environ.get(FURTHER_FOLDERS, "").split(":") if each]
    return {
        version: folder for folder in (*found, *named, *known) if (version := _version_of(folder / "bin" / "postgres"))
    }


def _version_of(program: Path) -> int | None:
    if not program.is_file():
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"\(PostgreSQL\) (\d+)", told)
    return int(version[1]) if version else None


@dataclass(frozen=True)
class OtherServer:
    """A server that runs; whoever reaches its socket is let in as whomever he names."""

    socket: Path
    superuser: str = "postgres"

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self.socket))}"

    def run(self, sql: str, database: str = "postgres", user: str = "postgres") -> list[tuple[Any, ...]]:
        """Each of the statements by itself, as psql does it; the rows of the last one."""
        connection = psycopg2.connect(self.url(database, user))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in filter(str.strip, sql.split(";\n")):
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


@contextmanager
def other_server(installation: Path, folder: Path | None = None, **settings: str) -> Iterator[OtherServer]:
    """A new server with these settings, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pg", dir=folder) as place:
        data = Path(place) / "data"
        data.mkdir(mode=0o700)
        account = account_for(data)
        for path in (Path(place), data):
            account.own(path)
        descriptor = os.open(Path(place) / "lock", os.O_CREAT | os.O_RDWR, 0o600)

        def run(program: str, *arguments: str) -> None:
            command = [str(installation / "bin" / program), "--pgdata=.", *arguments]
            done = account.run(command, directory=data, inherited_lock=descriptor, timeout_seconds=120)
            assert done.returncode == 0, done.stderr + done.stdout

        try:
            run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
            quick = {"listen_addresses": "", "unix_socket_directories": place, "fsync": "off", **settings}
            (data / "postgresql.auto.conf").write_text("".join(f"{name} = '{text}'\n" for name, text in quick.items()))
            run("pg_ctl", "start", "--wait", "--silent", "--log=server.log")
            try:
                yield OtherServer(Path(place))
            finally:
                run("pg_ctl", "stop", "--mode=immediate", "--silent")
        finally:
            os.close(descriptor)
