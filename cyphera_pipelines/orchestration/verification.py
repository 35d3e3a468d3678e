"""The job that carries out a session which compares a source's tables with the provider, and may mend them.

It writes no asset: what it finds is noted in the database, and the session's events tell of each table.
"""

from dagster import OpExecutionContext, in_process_executor, job, op
from dagster._core.storage.tags import MAX_RETRIES_TAG

from cyphera_pipelines.connection_budget import COMPARED_AT_ONCE_BY_A_RUN
from cyphera_pipelines.model.runs import SESSION_TAG, SOURCE_TAG, VERIFICATION_JOB
from cyphera_pipelines.model.sessions import verification_in
from cyphera_pipelines.orchestration.failures import failure, plain_failures
from cyphera_pipelines.orchestration.figure_reports import bring_figures_in_step
from cyphera_pipelines.orchestration.interruptible import run_interruptibly
from cyphera_pipelines.orchestration.log_redaction import redact_logs
from cyphera_pipelines.orchestration.partitions import payment_sources, source_key_of
from cyphera_pipelines.orchestration.resources import DatabaseResource, KeyringResource
from cyphera_pipelines.orchestration.run_sessions import (
    LOOKS_FOR_CANCELLATION_EVERY,
    cancel_session_of_run,
    parse_session_id,
    raise_if_cancelled,
    run_ends_with_its_session,
)
from cyphera_pipelines.orchestration.session_links import session_metadata
from cyphera_pipelines.orchestration.storage import keep_to_one_connection
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification.repair import verify_in_session
from cyphera_pipelines.sync.verification.verify import VerificationJob


@op
def verify_payment_source(context: OpExecutionContext, database: DatabaseResource, keyring: KeyringResource) -> None:
    """Verify the source of the run's partition, as its session asks. A session that has ended ends the run too."""
    redact_logs(context.log)
    keep_to_one_connection(context.instance)
    source_key, session_id = source_key_of(context.run), context.run.tags.get(SESSION_TAG)
    if source_key is None or session_id is None:
        raise failure(
            "This run carries out no session: it is started by the operations page, or ask for a verification with the "
            "command line, as in: cyphera verify acme stripe"
        )
    opened = database.open()
    with plain_failures({SOURCE_TAG: source_key}):
        source = find_source(opened, source_key)
        session = get_session(opened, source.workspace_id, parse_session_id(session_id))
        verification = verification_in(session.config)
        if verification is None:
            raise failure(f"Session {session.id} of {source.key} asks for a sync, and not for a verification.")
        keys = keyring.load()
    about = {"source": source.key, **session_metadata(session)}
    with plain_failures(about), run_ends_with_its_session(context.instance, context.run):
        progress = SyncProgress(session.entity_types)
        work = VerificationJob(opened, keys, source, session.entity_types, progress, COMPARED_AT_ONCE_BY_A_RUN)
        report = run_interruptibly(
            lambda: verify_in_session(work, session, verification, dagster_run_id=context.run.run_id),
            on_interrupt=lambda: cancel_session_of_run(opened, context.instance, context.run, session),
            on_wait=lambda: raise_if_cancelled(context.instance, context.run),
            wait_every=LOOKS_FOR_CANCELLATION_EVERY,
        )
        mended = sum(table.mended for entity in report.entities for table in entity.tables)
        bring_figures_in_step(
            context.instance,
            opened,
            source,
            has_changed=mended > 0,
            show=context.log_event,  # type: ignore[arg-type]
        )
        if not report.is_complete:
            errors = (f"{each.entity.value}: {each.error}" for each in report.entities if each.error is not None)
            raise failure(f"Not everything of {source.key} could be verified. {' '.join(errors)}", about)


@job(
    name=VERIFICATION_JOB,
    partitions_def=payment_sources,
    executor_def=in_process_executor,
    # One whose process is killed ends its session; whoever asked asks again. Nothing is lost: it had mended row by row.
    tags={MAX_RETRIES_TAG: "0"},
    description="Compares a source's tables with the provider, row by row, and mends what differs if its session asks "
    "for that: the operations page starts it.",
)
def verify_source() -> None:
    """One step, in one process."""
    verify_payment_source()
