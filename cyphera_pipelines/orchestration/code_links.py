"""Links from assets to the code that fills them."""

import warnings
from collections.abc import Sequence

from dagster import AssetsDefinition, AssetSpec, with_source_code_references
from dagster_shared.utils.warnings import BetaWarning


def with_code_links(assets: Sequence[AssetsDefinition | AssetSpec]) -> list[AssetsDefinition | AssetSpec]:
    """The assets, each that is materialised with the file and line of its code as the process has it."""
    with warnings.catch_warnings():
        # Not settled in this version of Dagster; the version is pinned and a test uses them.
        warnings.simplefilter("ignore", BetaWarning)
        return list(with_source_code_references(assets))  # type: ignore[arg-type]
