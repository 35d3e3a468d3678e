"""Writes docs/mapping-chargebee.md anew: `python -m cyphera_pipelines_tests.providers.chargebee.mapping_page`."""

from pathlib import Path

from cyphera_pipelines.providers.chargebee.mapping import NAMES, RULES
from cyphera_pipelines.providers.mapping.page import mapping_page

PAGE = Path(__file__).parents[3] / "docs" / "mapping-chargebee.md"


def page() -> str:
    """The page as the rules have it now."""
    return mapping_page("Chargebee", NAMES, RULES)


if __name__ == "__main__":
    PAGE.write_text(page())
