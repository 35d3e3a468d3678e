"""`cyphera dictionary`: what each table and column is."""

from pathlib import Path
from typing import Annotated

import typer

from cyphera_pipelines.cli.output import print_error
from cyphera_pipelines.dictionary.contents import dictionary
from cyphera_pipelines.dictionary.counting import counting_page
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
        list[str] | None,
        typer.Option(help="Only this table or view, as in invoices or analytics.mrr_summary; may be repeated."),
    ] = None,
    counting: Annotated[
        bool, typer.Option("--counting", help="Tell how figures are counted instead, as a page in Markdown.")
    ] = False,
) -> None:
    """Describe every table, view and column that analysts read: the same words as Postgres' comments."""
    text = counting_page() if counting else render(dictionary(table or ()), wanted)
    if out is None:
        typer.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    print_error(f"Wrote {out}.")
