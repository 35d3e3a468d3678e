"""`cyphera provider`: what can be connected, and what can be done there."""

from typing import Annotated

import typer

from cyphera_pipelines.cli.output import JSON_OPTION, print_json, print_table
from cyphera_pipelines.operations.capability_matrix import as_markdown, matrix, operations_of, words
from cyphera_pipelines.providers.base import ObjectKind
from cyphera_pipelines.providers.registry import PROVIDERS

app = typer.Typer(help="Providers: what can be connected, and what can be done there.", no_args_is_help=True)


@app.command("list")
def list_all(
    for_page: Annotated[
        bool, typer.Option("--markdown", help="Print it as a page of the documentation has it.")
    ] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what each provider can do with each kind of object. What is not declared is refused."""
    if as_json:
        print_json([_described(name) for name in PROVIDERS])
        return
    if for_page:
        typer.echo(as_markdown(PROVIDERS))
        return
    titles = [provider.title.upper() for provider in PROVIDERS.values()]
    rows = [
        (kind.value, *(words(operations) for operations in by_provider.values()))
        for kind, by_provider in matrix(PROVIDERS.values()).items()
    ]
    print_table(("KIND", *titles), rows, empty="No providers.")


def _described(name: str) -> dict[str, object]:
    provider = PROVIDERS[name]
    capabilities = provider.capabilities
    return {
        "name": provider.name,
        "title": provider.title,
        "entities": list(provider.entities),
        "operations": {kind.value: operations_of(capabilities, kind) for kind in ObjectKind},
        "filters": {kind.value: list(capabilities.filters.get(kind, ())) for kind in ObjectKind},
        "options": [
            {"name": option.name, "help": option.help, "is_required": option.is_required, "example": option.example}
            for option in provider.options
        ],
    }
