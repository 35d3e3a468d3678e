"""What an interrupted sync had committed, and the proof that the next one did not fetch it again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox.counters import SeenRequest
from cyphera_pipelines.store.cursors import SyncPosition, read_positions
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.truth import Truth, live_rows


@dataclass(frozen=True)
class Checkpoint:
    """The ids in the tables, the entities that were listed to their end, and where the others' slices stood."""

    rows: Mapping[Entity, set[str]]
    complete: frozenset[Entity]
    cursors: frozenset[str]

    def assert_only_the_rest_was_listed(
        self, requests: Iterable[SeenRequest], sandbox: Truth, account_id: str, fetched: Mapping[Entity, int]
    ) -> None:
        """`requests` are those of the sync that followed, `fetched` the objects that it counted.

        Of an entity that was complete no page is listed; of the others every slice goes on from its cursor, and no page
        starts after another object that was there already.
        """
        assert self.cursors, "it was interrupted too early or too late to leave something half done"
        listed = {entity: list[str]() for entity in Entity}
        for seen in requests:
            for entity in Entity:
                if seen.path == f"/v1/{entity.value}":
                    listed[entity] += parse_qs(seen.query).get("starting_after", [""])
        asked = {cursor for cursors in listed.values() for cursor in cursors}
        assert self.cursors <= asked
        for entity, cursors in listed.items():
            if entity in self.complete:
                assert not cursors, f"{entity} was complete, and was listed again"
            else:
                again = set(cursors) & self.rows[entity] - self.cursors
                assert not again, f"pages of {entity} that were committed were listed again, after {again}"
                everything = {obj["id"] for obj in sandbox.truth(account_id, entity.value)}
                assert fetched[entity] == len(everything - self.rows[entity])


def read_checkpoint(database: Database, source: Source) -> Checkpoint:
    positions = read_positions(database, source, livemode=not source.is_test_mode)
    unfinished = [position.unfinished for position in positions.values() if position.unfinished is not None]
    cursors = {part["cursor"] for listing in unfinished for part in listing["slices"]} - {None}
    return Checkpoint(
        rows={entity: set(live_rows(database, source, entity.value)) for entity in Entity},
        complete=frozenset(entity for entity, position in positions.items() if _is_complete(position)),
        cursors=frozenset(cursors),
    )


def _is_complete(position: SyncPosition) -> bool:
    return position.full_listing_at is not None and not (position.unfinished or {}).get("slices")
