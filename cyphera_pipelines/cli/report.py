"""`cyphera report`: a workspace's figures as one page."""

from pathlib import Path
from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.export import private_file
from cyphera_pipelines.cli.figures_options import ProviderOption, TestModeOption
from cyphera_pipelines.cli.output import print_error
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError
from cyphera_pipelines.store.completeness import Completeness, find_figures
from cyphera_pipelines.store.workspaces import find_workspace


def report(
    slug: SlugArgument,
    out: Annotated[
        Path | None, typer.Option(help="The file; one that is there is replaced. Without it: SLUG-report.html.")
    ] = None,
    provider: ProviderOption = None,
    currency: Annotated[str | None, typer.Option(help="Only this currency, as in usd; all without it.")] = None,
    test_mode: TestModeOption = False,
    names: Annotated[
        bool, typer.Option("--names/--no-names", help="With the names of the largest customers, or their ids alone.")
    ] = True,
) -> None:
    """Write MRR, its movements, churn, cohorts, open invoices, largest customers and products as one HTML page.

    The page needs no network and runs no script: it can be sent, printed, and read
    on a phone. It begins with how complete the figures are, and has a table behind
    each chart. Only you may read the file: people's names are in it.

    cyphera report acme --out report.html
    """
    target = out or Path(f"{slug}-report.html")
    place = _place_of(target)
    workspace = find_workspace(services.database(), slug)
    completeness = find_figures(services.database(), workspace, is_test_mode=test_mode, provider=provider)
    with working(f"Writing the report of {slug}"):
        page = _page(completeness, provider, currency, names=names)
    unfinished = place.with_name(f"{place.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        with private_file(unfinished) as file:
            file.write(page.encode())
        unfinished.rename(place)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise _unwritable(target, error) from None
    print_error(f"Wrote {target} ({len(page.encode()) / 1000:,.0f} kB). Open it in a browser.")


def _place_of(target: Path) -> Path:
    """Where the file is, or will be: of a link where it leads to, so that it goes on being one."""
    try:
        if (target.exists() or target.is_symlink()) and not target.is_file():
            # The page takes the place of what is there: of a device or a pipe nothing would be left.
            raise InvalidInputError(
                f"{target} is no regular file, and no link to one: name a file that is to be made or replaced."
            )
        return target.resolve()
    except OSError as error:
        raise _unwritable(target, error) from None


def _unwritable(target: Path, error: OSError) -> CypheraError:
    return CypheraError(f"{target} cannot be written: {error.strerror or error}.", code=ErrorCode.FILE_UNUSABLE)


def _page(completeness: Completeness, provider: str | None, currency: str | None, *, names: bool) -> str:
    try:
        from cyphera_pipelines.analytics import Workspace
        from cyphera_pipelines.analytics.report.contents import read_report
        from cyphera_pipelines.analytics.report.rendering import render
    except ImportError as error:
        raise CypheraError(
            f"The report needs {error.name}: pip install 'cyphera-pipelines[analytics]'.",
            code=ErrorCode.PACKAGE_MISSING,
        ) from None
    with Workspace(completeness.workspace.slug) as workspace:
        made = read_report(workspace, completeness, provider=provider, currency=currency, names=names)
    if currency is not None and not made.sections:
        raise InvalidInputError(
            f"There never was MRR in {currency.upper()}. Without --currency, every currency that there is is shown."
        )
    return render(made)
