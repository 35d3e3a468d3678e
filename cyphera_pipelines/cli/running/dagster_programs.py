"""Dagster's own programs as we run them: code server, UI and daemon, each with what it needs and no more."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cyphera_pipelines.cli.running.processes import Command
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.runs import CODE_LOCATION
from cyphera_pipelines.settings import PACKAGE, Settings, without_secrets

DEFAULT_CODE_SERVER = "127.0.0.1:4000"
LOG_LEVEL = "warning"


@dataclass(frozen=True)
class CodeServerAddress:
    """Where the code server listens: at a host's port, or at a Unix `socket`, which only this user can reach."""

    host: str = ""
    port: int = 0
    socket: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "CodeServerAddress":
        """From "HOST:PORT". Raises InvalidInputError."""
        host, _colon, port = text.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InvalidInputError(
                f"{text!r} is no address of a code server; it should look like {DEFAULT_CODE_SERVER}."
            )
        return cls(host, int(port))

    def environment(self) -> dict[str, str]:
        """What the file `workspace` reads."""
        if self.socket is not None:
            return {"CYPHERA_CODE_SERVER_SOCKET": str(self.socket)}
        return {"CYPHERA_CODE_SERVER_HOST": self.host, "CYPHERA_CODE_SERVER_PORT": str(self.port)}

    @property
    def workspace(self) -> Path:
        """The file that tells Dagster of the code server."""
        name = "code_server_at_port.yaml" if self.socket is None else "code_server_at_socket.yaml"
        return PACKAGE / "orchestration" / name


@dataclass(frozen=True)
class DagsterPrograms:
    """How to run them around one code server. `log_format` is `json`, or `colored` for people."""

    address: CodeServerAddress
    environment: Mapping[str, str]
    settings: Settings
    log_format: str

    def code_server(self) -> Command:
        """Our code, loaded once; runs and sensors are carried out by it and its children.

        It has the whole environment: it opens the credentials. Told to end (SIGTERM, SIGINT), it takes no more runs and
        waits for those at work.
        """
        address = self.address
        where = ["--host", address.host, "--port", str(address.port)]
        if address.socket is not None:
            where = ["--socket", str(address.socket)]
        module = ["--module-name", CODE_LOCATION, "--location-name", CODE_LOCATION, "--empty-working-directory"]
        program = ["dagster", "api", "grpc", *where, *module, "--log-level", LOG_LEVEL]
        return self._command("The code server", program, self.environment)

    def ui(self, host: str, port: int, path_prefix: str = "") -> Command:
        """Dagster's webserver. It knows Dagster's database only, and no key."""
        where = ["--host", host, "--port", str(port), *(["--path-prefix", path_prefix] if path_prefix else [])]
        program = ["dagster-webserver", "--workspace", str(self.address.workspace), *where]
        program += ["--dagster-log-level", LOG_LEVEL]
        return self._command("The Dagster UI", program, self._without_our_database())

    def daemon(self) -> Command:
        """Dagster's daemon: it starts queued runs and has the sensors looked at. It knows Dagster's database only."""
        program = ["dagster-daemon", "run", "--workspace", str(self.address.workspace), "--log-level", LOG_LEVEL]
        return self._command("The daemon", program, self._without_our_database())

    def _without_our_database(self) -> dict[str, str]:
        left = without_secrets(self.environment) | self.address.environment()
        if not self.settings.is_embedded or self.settings.dagster_database_url is not None:
            url = self.settings.dagster_storage_url().render_as_string(hide_password=False)
            left["CYPHERA_DAGSTER_DATABASE_URL"] = url
        return left

    def _command(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> Command:
        program, *rest = arguments
        beside_python = str(Path(sys.executable).parent / program)
        quiet = {**environment, "PYTHONWARNINGS": "ignore"}
        return Command(name, [beside_python, *rest, "--log-format", self.log_format], quiet)


def become(command: Command) -> None:
    """Let this process be that program from now on, under the same process id."""
    sys.stdout.flush()
    os.execve(command.arguments[0], list(command.arguments), dict(command.environment))  # noqa: S606 (no shell wanted)
