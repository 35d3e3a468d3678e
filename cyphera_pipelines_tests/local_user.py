"""A process that uses the embedded Postgres as its standard input tells it to; test_local.py starts several.

One command per line, one line of answer: start, keep, release, query <SQL>, fork, repeat <times>. With a second
argument, the name of a system account, root changes to it first: the account may not be allowed to run this Python.
"""

import os
import pwd
import sys
from pathlib import Path

import psycopg2

from cyphera_pipelines import local


class User:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.handles: list[local.EmbeddedPostgres] = []

    def answer(self, command: str, argument: str) -> str:
        match command:
            case "start":
                self.handles.append(local.start(self.home))
            case "keep":
                self.handles.append(local.start(self.home, keep_running=True))
            case "release":
                self.handles.pop().release()
            case "query":
                return query(self.handles[-1].psql_url(), argument)
            case "fork":
                return self.fork_and_release()
            case "repeat":
                for _ in range(int(argument)):
                    handle = local.start(self.home)
                    query(handle.psql_url(), "SELECT 1")
                    handle.release()
        return "done"

    def fork_and_release(self) -> str:
        """A child that releases its parent's use and then ends like any Python program."""
        child = os.fork()
        if child == 0:
            self.handles[-1].release()
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        return "done" if status == 0 else f"status {status}"


def query(url: str, sql: str) -> str:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return str(cursor.fetchone()[0]) if cursor.description else "done"  # type: ignore[index]
    finally:
        connection.close()


def say(answer: str) -> None:
    sys.stdout.write(answer + "\n")
    sys.stdout.flush()


def change_to(account: str) -> None:
    entry = pwd.getpwnam(account)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main() -> None:
    if len(sys.argv) > 2:
        change_to(sys.argv[2])
    user = User(Path(sys.argv[1]))
    while True:
        try:
            line = sys.stdin.readline()
            if not line:
                return
            command, _, argument = line.strip().partition(" ")
            say(user.answer(command, argument))
        except local.EmbeddedPostgresError as error:
            say("error: " + " ".join(str(error).split()))
        except KeyboardInterrupt:
            say("interrupted, " + user.answer("query", "SELECT 'server alive'"))


if __name__ == "__main__":
    main()
