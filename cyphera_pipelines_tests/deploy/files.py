"""The files of `deploy/`, read as systemd and compose read them."""

import shlex
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = DEPLOY / "systemd"
SECRETS = {"CYPHERA_DATABASE_URL", "PAYMENT_SYNC_ENCRYPTION_KEY"}
INSTALLED = "/opt/cyphera/.venv/bin/cyphera"


@dataclass(frozen=True)
class Unit:
    """What a service runs, and the names of the variables that it is given."""

    arguments: tuple[str, ...]
    variables: frozenset[str]
    settings: dict[str, str]


def read_unit(name: str) -> Unit:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((UNITS / f"cyphera-{name}.service").read_text())
    service = dict(parser["Service"])
    program, *arguments = shlex.split(service["ExecStart"])
    assert program == INSTALLED
    file = UNITS / f"{Path(service['EnvironmentFile']).name}.example"
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return Unit(tuple(arguments), frozenset(line.partition("=")[0] for line in lines), service)


def read_compose() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text())["services"]
    return services
