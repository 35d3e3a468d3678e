"""The page that says where each column's value comes from, made of the rules themselves."""

from collections import Counter
from collections.abc import Iterator, Mapping

from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.providers.mapping.rules import Origin, Rules


def mapping_page(title: str, names: Mapping[str, str], rules: Mapping[str, Rules]) -> str:
    """Markdown: every column of every synced table. `names` are what the provider calls each table's objects."""
    return "\n".join(_lines(title, names, rules)) + "\n"


def _lines(title: str, names: Mapping[str, str], rules: Mapping[str, Rules]) -> Iterator[str]:
    counted = Counter(rule.origin for of_table in rules.values() for rule in of_table.values())
    yield f"# {title}'s objects as rows"
    yield ""
    yield (
        f"Every column of every synced table: {counted[Origin.MAPPED]} are mapped as they are, "
        f"{counted[Origin.DERIVED]} derived, and {counted[Origin.ABSENT]} always NULL, for the reason that stands "
        f"there. What {title} tells beyond that is in `raw`."
    )
    for name, table in SYNCED_TABLES.items():
        yield ""
        yield f"## {name}"
        yield ""
        yield f"{title}: {names[name]}."
        yield ""
        yield "| column | from | rule |"
        yield "|---|---|---|"
        for column in table.columns:
            rule = rules[name][column.name]
            source = f"`{rule.source}`" if rule.source else ""
            yield f"| {column.name} | {source} | {rule.origin.value}{f': {rule.note}' if rule.note else ''} |"
