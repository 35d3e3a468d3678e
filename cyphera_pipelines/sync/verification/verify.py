"""Comparing a source's tables with the provider, all entities at once, and mending what differs if that is asked for.

Whatever is read stays out of memory: see `store/verification.py`. What counts as a difference: see
`entity.py`.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cyphera_pipelines.connection_budget import COMPARED_AT_ONCE
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import entity_table
from cyphera_pipelines.providers.base import (
    CredentialsRejectedError,
    ProviderClient,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
    RequestNote,
)
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.billed_amounts import settle_billed_amounts
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.database_errors import error_code_of, what_happened
from cyphera_pipelines.store.missing import list_missing
from cyphera_pipelines.store.rows import count_rows
from cyphera_pipelines.store.verifications import EntityVerified, note_verified
from cyphera_pipelines.sync.client import open_client
from cyphera_pipelines.sync.listing import ListingStart
from cyphera_pipelines.sync.memory import rare_collections, share_arenas
from cyphera_pipelines.sync.pages import SyncCancelledError
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification.context import VerificationContext
from cyphera_pipelines.sync.verification.entity import EntityVerification
from cyphera_pipelines.sync.verification.report import EntityReport, VerificationReport

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerificationJob:
    """Everything that one verification needs.

    It compares so many entities at once, each on a connection that it holds for as long.
    """

    database: Database
    keyring: Keyring
    source: Source
    entities: tuple[Entity, ...]
    progress: SyncProgress
    compared_at_once: int = COMPARED_AT_ONCE


@dataclass(frozen=True)
class Verified:
    """A verification's report, and the errors of the entities that could not be verified."""

    report: VerificationReport
    errors: dict[Entity, CypheraError]


@dataclass
class _Findings:
    lock: threading.Lock = field(default_factory=threading.Lock)
    reports: dict[Entity, EntityReport] = field(default_factory=dict)
    errors: dict[Entity, CypheraError] = field(default_factory=dict)
    fatal: Exception | None = None


def verify(job: VerificationJob) -> VerificationReport:
    """Compare the source's tables with the provider and report what differs. Holds no lock.

    No row of the tables is written; what was found is noted, for whoever asks how complete they are.

    An entity's trouble is told in the report. Raises CredentialsRejectedError or ProviderUnavailableError if not even
    the account can be asked for, CypheraError for unusable credentials or trouble with the database.
    """
    stop = threading.Event()
    try:
        return compare(job, is_cancelled=stop.is_set, cancel=stop.set).report
    except DATABASE_ERRORS as error:
        raise database_trouble(job, error) from None


def database_trouble(job: VerificationJob, error: Exception) -> CypheraError:
    """What to tell of a database error."""
    message = f"The verification of {job.source.key} {what_happened(error)}. Start it again."
    return CypheraError(message, code=error_code_of(error))


def compare(
    job: VerificationJob,
    *,
    is_cancelled: Callable[[], bool],
    cancel: Callable[[], None],
    session: Session | None = None,
    mends: bool = True,
    on_retry: Callable[[RequestNote], None] | None = None,
    on_repeat: Callable[[RequestNote], None] | None = None,
) -> Verified:
    """Verify all entities concurrently; with a session, also what differs is mended, unless it is not to.

    Raises what `verify` raises, but database errors as they are.
    """
    share_arenas()
    began_at, began = datetime.now(UTC), time.monotonic()

    opened = open_client(
        job.database,
        job.keyring,
        job.source,
        on_request=job.progress.requested,
        on_retry=on_retry or job.progress.retried,
        on_repeat=on_repeat or job.progress.repeated,
        on_answer=job.progress.answered,
        is_cancelled=is_cancelled,
    )
    client = opened.client
    try:
        with rare_collections():
            context = VerificationContext(
                database=job.database,
                client=client,
                scope=opened.scope,
                published=opened.published,
                source=job.source,
                start=_begin(client),
                session=session if mends else None,
                progress=job.progress,
                is_cancelled=is_cancelled,
                cancel=cancel,
            )
            findings = _verify_entities(context, job.entities, job.compared_at_once)
            if context.session is not None:
                with job.database.tenant(job.source.workspace_id) as connection:
                    since = context.session.created_at
                    settle_billed_amounts(connection, job.source, since, livemode=context.livemode)
    finally:
        client.close()
    reports = tuple(findings.reports[entity] for entity in job.entities)
    seconds = round(time.monotonic() - began, 1)
    session_id = None if session is None else session.id
    missing = list_missing(
        job.database, job.source.workspace_id, job.source.provider, livemode=not job.source.is_test_mode
    )
    still = tuple(each for each in missing if each.entity in job.entities)
    report = VerificationReport(job.source.key, began_at, seconds, reports, session_id, still)
    ended = [_verified(each) for each in reports if each.error is None]
    note_verified(job.database, job.source, began_at, ended, livemode=context.livemode)
    return Verified(report, findings.errors)


def _verified(report: EntityReport) -> EntityVerified:
    checked = sum(table.checked for table in report.tables)
    left = sum(table.differences - table.mended for table in report.tables)
    return EntityVerified(report.entity, checked, left, report.unmappable.count)


def _begin(client: ProviderClient) -> ListingStart:
    """Prove that the credentials work. A key that may not read the account may still list."""
    created = None
    try:
        created = client.account().created
    except (CredentialsRejectedError, ProviderUnavailableError):
        raise
    except ProviderError as error:
        _log.info("The account cannot be read: %s", error)
    return ListingStart(client.now(), created.timestamp() if created is not None else None)


def _verify_entities(context: VerificationContext, entities: tuple[Entity, ...], at_once: int) -> _Findings:
    """Verify a few entities at a time, each in a thread and on a connection of its own, the largest first.

    Raises database errors, and interruptions of the calling thread.
    """
    known = count_rows(context.database, context.source, [entity_table(each) for each in entities])
    for name, rows in known.items():
        if rows:
            context.progress.estimated(Entity(name), rows)
    findings = _Findings()
    largest_first = sorted(entities, key=lambda entity: known[entity.value], reverse=True)
    with ThreadPoolExecutor(at_once, thread_name_prefix="verify") as threads:
        running = [threads.submit(_verify_entity, context, entity, findings) for entity in largest_first]
        try:
            wait(running)
        except BaseException:
            context.cancel()
            raise
    if findings.fatal is not None:
        raise findings.fatal
    return findings


def _verify_entity(context: VerificationContext, entity: Entity, findings: _Findings) -> None:
    try:
        report = EntityVerification(context, entity).run()
    except (SyncCancelledError, RequestAbandonedError):
        message = "The verification was stopped before it came to its end."
        _fail(context, entity, findings, CypheraError(message, code=ErrorCode.CANCELLED))
    except DATABASE_ERRORS as error:
        with findings.lock:
            findings.fatal = findings.fatal or error
        context.cancel()
    except CypheraError as error:
        _fail(context, entity, findings, error)
        if isinstance(error, CredentialsRejectedError):
            context.cancel()
    except Exception as error:
        _log.exception("The verification of %s for %s failed.", entity.value, context.source.key)
        message = redact(f"An error of ours: {type(error).__name__}: {error}")
        _fail(context, entity, findings, CypheraError(message, code=ErrorCode.UNEXPECTED))
    else:
        with findings.lock:
            findings.reports[entity] = report


def _fail(context: VerificationContext, entity: Entity, findings: _Findings, error: CypheraError) -> None:
    context.progress.failed(entity, error)
    with findings.lock:
        findings.errors[entity] = error
        findings.reports[entity] = EntityReport(entity, error=str(error), error_code=error.code)
