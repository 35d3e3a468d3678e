"""The `cyphera` command as a user runs it: a process of its own, found beside this Python."""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyphera_pipelines.model.error_codes import ErrorCode

PROGRAM = Path(sys.executable).with_name("cyphera")
FORKED_COMMANDS = Path(__file__).with_name("forked_commands.py")
DEADLINE_SECONDS = 120.0
_OURS = ("CYPHERA_", "PAYMENT_SYNC_", "DAGSTER_")


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code in (0, 2), self
        return json.loads(self.out)

    def done(self) -> str:
        """What it printed, given that nothing went wrong."""
        assert self.code == 0, self
        return self.out

    def error(self) -> str:
        """The one line that it failed with, and nothing else; without the error code that it ends with."""
        assert self.code == 1, self
        assert self.out == "", self
        (line,) = self.err.splitlines()
        told = re.fullmatch(r"Error: (.+) \[([a-z-]+)\]", line)
        assert told is not None, line
        assert ErrorCode(told[2]) is not ErrorCode.UNEXPECTED
        assert "Traceback" not in line
        assert "An error of ours" not in line
        return told[1]


class Cyphera:
    """The command with a home of its own: `cyphera("source", "list", "--json")`."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = self._environment(home, environment)

    @staticmethod
    def _environment(home: Path, environment: dict[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return {**inherited, "CYPHERA_HOME": str(home), **environment}

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Outcome:
        process = self.start(*arguments, environment=environment)
        out, err = process.communicate(stdin, timeout=DEADLINE_SECONDS)
        return Outcome(process.returncode, out, without_signs_of_life(err))

    def start(
        self, *arguments: str, stderr: int = subprocess.PIPE, environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start the command and return at once."""
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**self.environment, **(environment or {})},
            text=True,
        )


class ForkedCyphera(Cyphera):
    """The same at a tenth of the cost, for the many commands that differ only in what they are told."""

    def __init__(self, home: Path, **environment: str) -> None:
        super().__init__(home, **environment)
        self._process = subprocess.Popen(
            [sys.executable, str(FORKED_COMMANDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            text=True,
        )

    def elsewhere(self, home: Path, **environment: str) -> "ForkedCyphera":
        """The same command with another home."""
        other = copy.copy(self)
        other.home, other.environment = home, self._environment(home, environment)
        return other

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            streams = {name: Path(folder) / name for name in ("stdin", "out", "err")}
            for name, path in streams.items():
                path.write_text(stdin if name == "stdin" else "")
            command = {
                "arguments": arguments,
                "environment": {**self.environment, **environment},
                **{name: str(path) for name, path in streams.items()},
            }
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            return Outcome(code, streams["out"].read_text(), without_signs_of_life(streams["err"].read_text()))

    def close(self) -> None:
        self._process.communicate(timeout=DEADLINE_SECONDS)


def without_signs_of_life(err: str) -> str:
    """What a command says only since this machine is slow just now is left out."""
    return "".join(line for line in err.splitlines(keepends=True) if not line.rstrip(".)\n").endswith(" s so far"))
