"""What each provider can do with each kind of object, from what the providers declare."""

from collections.abc import Iterable, Mapping

from cyphera_pipelines.providers.base import Capabilities, ObjectKind, Operation, Provider

BEGIN, END = "<!-- capabilities: begin -->", "<!-- capabilities: end -->"
"""What stands around the table in a page; between them nothing is written by hand."""
NOTHING = "-"


def operations_of(capabilities: Capabilities, kind: ObjectKind) -> list[Operation]:
    """What is declared of the kind, in the order in which operations are declared."""
    return [operation for operation in Operation if capabilities.supports(kind, operation)]


def matrix(providers: Iterable[Provider]) -> dict[ObjectKind, dict[str, list[Operation]]]:
    """The operations by kind of object and provider's name, of all kinds: nothing where there is none."""
    listed = list(providers)
    return {
        kind: {provider.name: operations_of(provider.capabilities, kind) for provider in listed} for kind in ObjectKind
    }


def as_markdown(providers: Mapping[str, Provider]) -> str:
    """The matrix as a table: a row per kind of object, a column per provider, and in each cell what works."""
    titles = [provider.title for provider in providers.values()]
    lines = [f"| | {' | '.join(titles)} |", f"|---{'|---' * len(titles)}|"]
    for kind, by_provider in matrix(providers.values()).items():
        cells = [words(operations) for operations in by_provider.values()]
        lines.append(f"| **{kind.value}** | {' | '.join(cells)} |")
    return "\n".join(lines)


def words(operations: Iterable[Operation]) -> str:
    """As in "get, list, create"; a dash for none."""
    return ", ".join(operation.value for operation in operations) or NOTHING


def put_into(page: str, table: str) -> str:
    """The page with the table between its markers. Raises ValueError for a page that has none."""
    before, begin, rest = page.partition(BEGIN)
    _former, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page has no markers {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"
