"""What loading did."""

from dataclasses import dataclass, field, replace

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject, UnmappableObject
from cyphera_pipelines.model.synced_tables import strict_child_tables


@dataclass
class TableCounts:
    """What a merge did to one table."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0

    def add(self, other: "TableCounts") -> None:
        """Add the other's counts to these."""
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.deleted += other.deleted


@dataclass(frozen=True)
class OneSidedChildren:
    """How many children of an object a table lacks, and how many of its rows the provider has no more."""

    table: str
    new: int
    gone: int


@dataclass(frozen=True)
class DifferingRow:
    """An object whose rows were left as they are although it differs at the provider, and where it does.

    `columns` are its own and those of children that both sides have, with their table: `invoice_line_items.amount`. If
    nothing is named, only what has no column of its own differs: the rest of `raw`.
    """

    id: str
    columns: tuple[str, ...]
    one_sided: tuple[OneSidedChildren, ...] = ()

    def with_more(self, other: "DifferingRow") -> "DifferingRow":
        """The same object with what else was found of it."""
        return DifferingRow(self.id, self.columns + other.columns, self.one_sided + other.one_sided)


@dataclass
class LoadResult:
    """What loading a batch did, by table, what Postgres refused to take, and what was left although it differs."""

    tables: dict[str, TableCounts] = field(default_factory=dict)
    refused: list[UnmappableObject] = field(default_factory=list)
    differing: list[DifferingRow] = field(default_factory=list)

    def count_unchanged(self, entity: Entity, obj: MappedObject) -> None:
        """Count an object that was left as it is, with its children but for those of loose tables."""
        self.tables.setdefault(entity.value, TableCounts()).unchanged += 1
        for table in strict_child_tables(entity):
            self.tables.setdefault(table.name, TableCounts()).unchanged += len(obj.children.get(table.name, ()))

    def without_unchanged(self) -> "LoadResult":
        """The same of rows that were counted before in the session: which it leaves as they are is no news."""
        written = {name: replace(counts, unchanged=0) for name, counts in self.tables.items()}
        return replace(self, tables=written)

    def add(self, other: "LoadResult") -> None:
        """Add the other's results to these."""
        for name, counts in other.tables.items():
            self.tables.setdefault(name, TableCounts()).add(counts)
        self.refused.extend(other.refused)
        self.differing.extend(other.differing)
