"""`cyphera errors`: what the error codes mean, and what to do about each."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from cyphera_pipelines.cli.output import JSON_OPTION, print_error, print_json, print_table
from cyphera_pipelines.dictionary.errors import errors_page
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import NotFoundError


def errors(
    code: Annotated[str | None, typer.Argument(help="Only this one, as in credentials-rejected.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write all of them to this file, as a page in Markdown.")] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Explain the codes that stand in brackets after errors: what each means, what to do, and who can.

    Example: cyphera errors credentials-rejected
    """
    if out is not None:
        out.write_text(errors_page(), encoding="utf-8")
        print_error(f"Wrote {out}.")
    elif code is not None:
        _explain(_find(code), as_json=as_json)
    elif as_json:
        print_json([_described(each) for each in sorted(ErrorCode)])
    else:
        rows = [(each.value, each.who.value, each.meaning) for each in sorted(ErrorCode)]
        print_table(("CODE", "WHO CAN ACT", "MEANING"), rows, empty="There are none.")


def _find(text: str) -> ErrorCode:
    """The code, which may be given as it stands in brackets. Raises NotFoundError."""
    wanted = text.strip().strip("[]").lower()
    try:
        return ErrorCode(wanted)
    except ValueError:
        near = get_close_matches(wanted, list(ErrorCode), n=3, cutoff=0.5)
        hint = f" Perhaps: {', '.join(near)}." if near else ""
        raise NotFoundError(f"There is no error code {wanted!r}.{hint} See all of them: cyphera errors") from None


def _explain(code: ErrorCode, *, as_json: bool) -> None:
    if as_json:
        print_json(_described(code))
        return
    typer.echo(f"{code}: {code.meaning}")
    typer.echo(f"What to do: {code.remedy}")
    typer.echo(f"Who can: {code.who}.")


def _described(code: ErrorCode) -> dict[str, str]:
    return {"code": code.value, "meaning": code.meaning, "remedy": code.remedy, "who": code.who.value}
