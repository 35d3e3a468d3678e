"""Options of commands that show figures."""

from typing import Annotated

import typer

ProviderOption = Annotated[
    str | None, typer.Option("--provider", help="Only of this payment provider, as in `stripe`; of all without it.")
]
TestModeOption = Annotated[
    bool,
    typer.Option("--test-mode", help="Of the provider's test mode. Without it: of live data, and of nothing else."),
]
