from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.store.load_result import LoadResult, TableCounts
from cyphera_pipelines.sync.progress import SyncProgress


def load(progress: SyncProgress, entity: Entity, objects: int) -> None:
    result = LoadResult({entity.value: TableCounts(created=objects)})
    progress.loaded(entity, fetched=objects, requests=1, unloaded=0, result=result)


def test_the_percentage_never_falls_and_is_100_only_at_the_end() -> None:
    progress, seen = SyncProgress([Entity.CUSTOMERS, Entity.INVOICES]), []

    def look() -> None:
        seen.append(progress.as_json()["percent"])

    look()
    progress.estimated(Entity.CUSTOMERS, 100)
    progress.estimated(Entity.INVOICES, 100)
    load(progress, Entity.CUSTOMERS, 100)
    look()
    progress.estimated(Entity.INVOICES, 100_000)
    look()
    progress.estimated(Entity.INVOICES, None)
    look()
    progress.done(Entity.CUSTOMERS)
    progress.estimated(Entity.INVOICES, 50)
    load(progress, Entity.INVOICES, 50)
    look()
    progress.done(Entity.INVOICES)
    look()
    assert seen == [0.0, 50.0, 50.0, 50.0, 99.9, 100.0]
    assert progress.as_json()["eta_seconds"] == 0


def test_nobody_waits_for_a_session_that_is_over() -> None:
    progress = SyncProgress([Entity.CUSTOMERS])
    progress.estimated(Entity.CUSTOMERS, 100)
    load(progress, Entity.CUSTOMERS, 10)
    assert progress.as_json()["eta_seconds"] is not None
    assert progress.as_json(is_over=True)["eta_seconds"] is None


def test_a_process_goes_on_counting_where_the_last_one_was() -> None:
    first = SyncProgress([Entity.CUSTOMERS])
    first.requested()
    load(first, Entity.CUSTOMERS, 30)
    first.failed(Entity.CUSTOMERS, NotFoundError("it died"))
    second = SyncProgress([Entity.CUSTOMERS])
    second.resume(first.as_json())
    load(second, Entity.CUSTOMERS, 12)
    second.requested()
    counts = second.as_json()["entities"]["customers"]
    assert (counts["fetched"], counts["created"], counts["requests"], counts["error"]) == (42, 42, 2, None)
    assert second.as_json()["requests"] == 2
