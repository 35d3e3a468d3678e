from pathlib import Path

import pytest

from cyphera_pipelines.operations.capability_matrix import as_markdown, matrix, put_into
from cyphera_pipelines.providers.base import ObjectKind, Operation
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines_tests.operations.ledger import LedgerProvider

OURS = ("chargebee", "stripe")
CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "docs/capabilities.md"])
def test_pages_tell_what_the_providers_declare(name: str) -> None:
    page = (CHECKOUT / name).read_text(encoding="utf-8")
    ours = {name: provider for name, provider in PROVIDERS.items() if name in OURS}
    assert put_into(page, as_markdown(ours)) == page, "see the last sentence of docs/capabilities.md"


def test_a_cell_holds_what_is_declared_and_no_more() -> None:
    ledger = LedgerProvider()
    cells = matrix([ledger])
    assert set(cells) == set(ObjectKind)
    assert cells[ObjectKind.REFUNDS] == {"ledger": []}
    assert set(cells[ObjectKind.CUSTOMERS]["ledger"]) == {
        Operation.GET,
        Operation.LIST,
        Operation.CREATE,
        Operation.UPDATE,
        Operation.DELETE,
    }
    assert "| **refunds** | - |" in as_markdown({"ledger": ledger})


def test_a_page_without_markers_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no markers"):
        put_into("nothing", "table")
