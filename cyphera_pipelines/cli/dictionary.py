"""`cyphera dictionary`: what each table and column is."""

from pathlib import Path
from typing import Annotated

import typer

from cyphera_pipelines.cli.output import print_error
from cyphera_pipelines.dictionary.contents import dictionary
from cyphera_pipelines.dictionary.rendering import DictionaryFormat, render


def print_dictionary(
    wanted: Annotated[
        DictionaryFormat,
        typer.Option(
            "--format", help="markdown: a page; html: a page for a browser; json: for programs; dbt: a sources.yml."
        ),
    ] = DictionaryFormat.MARKDOWN,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")] = None,
    table: Annotated[
        list[str] | None, typer.Option(help="Only this table, as in invoices or payments.invoices; may be repeated.")
    ] = None,
) -> None:
    """Describe every table and column that analysts see: the same words as Postgres' comments and Dagster's columns."""
    text = render(dictionary(table or ()), wanted)
    if out is None:
        typer.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    print_error(f"Wrote {out}.")
