"""What a verification found, and whether a second look or a repair has made it good."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.missing import MissingObjects
from cyphera_pipelines.store.checks import Finding

NOTHING = Finding(0, ())


@dataclass(frozen=True)
class TableReport:
    """One table against the provider: how many of its objects or children were compared, and what differs.

    `mended` of the differences were repaired.
    """

    table: str
    checked: int
    missing: Finding
    surplus: Finding
    stale: Finding
    mended: int

    @property
    def differences(self) -> int:
        """How many rows differ, or differed until they were mended."""
        return self.missing.count + self.surplus.count + self.stale.count

    @property
    def agrees(self) -> bool:
        """Whether the table holds now what the provider holds."""
        return self.differences == self.mended


@dataclass(frozen=True)
class EntityReport:
    """One entity: its table, then its child tables; no tables where it could not be verified.

    Then `error` says why, and `error_code` what kind of trouble that is.

    `unmappable` are objects that no row can be made of. `changed_meanwhile` objects differ, but changed at the provider
    while the verification ran: the next sync brings them, and they count as no difference. `unconfirmed` objects differ
    as the listing showed them, but were too many to be asked for once more. `note` is what else there is to know.
    """

    entity: Entity
    tables: tuple[TableReport, ...] = ()
    unmappable: Finding = NOTHING
    changed_meanwhile: int = 0
    unconfirmed: int = 0
    note: str | None = None
    error: str | None = None
    error_code: ErrorCode | None = None

    @property
    def agrees(self) -> bool:
        """Whether every row is as it should be."""
        return self.error is None and not self.unmappable.count and all(table.agrees for table in self.tables)


@dataclass(frozen=True)
class VerificationReport:
    """A source's verification. `session_id` is the session that mended what was found, if it was to be mended."""

    source: str
    began_at: datetime
    seconds: float
    entities: tuple[EntityReport, ...]
    session_id: UUID | None = None
    still_missing: tuple[MissingObjects, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every entity could be verified."""
        return all(entity.error is None for entity in self.entities)

    @property
    def error_code(self) -> ErrorCode | None:
        """What kind of thing is wrong: what kept an entity from being verified, else what differs; None: nothing."""
        errors = {entity.error_code for entity in self.entities if entity.error_code is not None}
        if errors:
            return errors.pop() if len(errors) == 1 else ErrorCode.SEVERAL_CAUSES
        if self.agrees:
            return None
        differs = any(not table.agrees for entity in self.entities for table in entity.tables)
        return ErrorCode.DIFFERENCES_FOUND if differs else ErrorCode.OBJECT_NOT_LOADED

    @property
    def agrees(self) -> bool:
        """Whether the tables hold now what the provider holds, all of it."""
        return all(entity.agrees for entity in self.entities)
