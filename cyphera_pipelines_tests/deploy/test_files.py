"""That the units and the compose file name commands that exist, and give secrets only to who needs them."""

import pytest
import typer
from typer.core import TyperGroup

from cyphera_pipelines.cli.app import app
from cyphera_pipelines_tests.deploy.files import SECRETS, UNITS, read_compose, read_unit

SERVICES = ("code-server", "daemon", "ui", "api")
WITHOUT_SECRETS = {"daemon", "ui"}


def expect_to_be_a_command(arguments: list[str]) -> None:
    """Let the command line read its arguments, without doing anything."""
    command = typer.main.get_command(app)
    rest = arguments
    while isinstance(command, TyperGroup) and rest:
        command, rest = command.commands[rest[0]], rest[1:]
    assert rest != arguments
    command.make_context(arguments[0], list(rest))


@pytest.mark.parametrize("service", SERVICES)
def test_each_unit_runs_a_command_with_the_secrets_that_it_needs(service: str) -> None:
    unit = read_unit(service)
    assert unit.arguments[0] == service
    expect_to_be_a_command(list(unit.arguments))
    assert (unit.variables & SECRETS == set()) is (service in WITHOUT_SECRETS)
    assert "CYPHERA_DAGSTER_DATABASE_URL" in unit.variables
    assert f"cyphera-{service}.service" in (UNITS / "cyphera.target").read_text()


def test_each_container_runs_a_command_with_the_secrets_that_it_needs() -> None:
    services = read_compose()
    ours = {name: service for name, service in services.items() if service["image"] == "cyphera-pipelines"}
    assert ours.keys() == {*SERVICES, "upgrade"}
    for name, service in ours.items():
        expect_to_be_a_command(service["command"])
        assert (service["environment"].keys() & SECRETS == set()) is (name in WITHOUT_SECRETS), name
        assert service["depends_on"].keys() <= services.keys()
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published), "nothing without a login is for everybody"
