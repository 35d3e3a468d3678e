"""`cyphera verify`: a source's tables against its provider, and their repair."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.entities_option import EntitiesOption, chosen_entities
from cyphera_pipelines.cli.output import JSON_OPTION, print_error, print_json, print_table, short_id, with_code
from cyphera_pipelines.cli.progress import Seen, watch
from cyphera_pipelines.cli.source import ProviderArgument
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.connection_budget import VERIFICATION
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.request import entities_of
from cyphera_pipelines.sync.verification.repair import verify_and_repair
from cyphera_pipelines.sync.verification.report import EntityReport, TableReport, VerificationReport
from cyphera_pipelines.sync.verification.verify import VerificationJob
from cyphera_pipelines.sync.verification.verify import verify as verify_tables

DIFFERS = 2
INCOMPLETE = 1


def verify(
    slug: SlugArgument,
    provider: ProviderArgument,
    entities: EntitiesOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what differs, as a session of its own, while no other sync runs.")
    ] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Compare a source's tables with the provider, row by row, without loading.

    Everything is listed at the provider and compared with the rows, by id and
    content hash. Missing: the provider has it, the table has no live row.
    Surplus: the table has it, the provider does not. Stale: both have it, with
    different contents; so has a row whose change no sync has brought yet. A row
    that claims to be of the future is stale too. Unmappable: no row can be made of it.

    What differs is asked for once more by its id, and what changed at the
    provider while the verification ran does not count: the next sync brings
    it. So a sync may run at the same time, but for --repair, which is one.
    Where thousands of objects are missing, a full sync is the faster repair:
    cyphera sync SLUG stripe --full

    A row whose columns were changed by hand while its content_hash was kept
    cannot be told from a good one: the hash stands for the contents.

    Exit code 0: everything agrees, or was mended. 2: something differs, or
    cannot be mapped. 1: some entity could not be verified; the others are
    reported all the same.
    """
    chosen = entities_of(provider, chosen_entities(entities))
    database, progress = services.database(connections=VERIFICATION), SyncProgress(chosen)
    source = find_source(database, f"{slug}:{provider}")
    job = VerificationJob(database, services.keyring(), source, chosen, progress)
    with watch(source.key, lambda: Seen.of_progress(progress)):
        report = verify_and_repair(job) if repair else verify_tables(job)
    if as_json:
        print_json(_as_json(report))
    else:
        _show(report)
    if not report.is_complete:
        raise typer.Exit(INCOMPLETE)
    if not report.agrees:
        raise typer.Exit(DIFFERS)


def _as_json(report: VerificationReport) -> dict[str, Any]:
    return {
        "source": report.source,
        "began_at": report.began_at,
        "seconds": report.seconds,
        "complete": report.is_complete,
        "agrees": report.agrees,
        "error_code": report.error_code,
        "session_id": report.session_id,
        "still_missing": [each.as_json() for each in report.still_missing],
        "entities": [{"agrees": entity.agrees, **asdict(entity)} for entity in report.entities],
    }


def _show(report: VerificationReport) -> None:
    rows = [row for entity in report.entities for row in _rows(entity)]
    columns = ("TABLE", "CHECKED#", "MISSING#", "SURPLUS#", "STALE#", "UNMAPPABLE#", "MENDED#", "STATE")
    print_table(columns, rows, empty="Nothing was verified.")
    for entity in report.entities:
        for line in _examples(entity):
            typer.echo(line)
    for missing in report.still_missing:
        typer.echo(f"Known from syncs: {missing.described()}")
    typer.echo(with_code(_conclusion(report), report.error_code))
    for entity in report.entities:
        if entity.error is not None:
            print_error(with_code(f"{entity.entity.value} could not be verified: {entity.error}", entity.error_code))
        if entity.note is not None:
            print_error(f"{entity.entity.value}: {entity.note}")


def _rows(entity: EntityReport) -> list[tuple[object, ...]]:
    if entity.error is not None:
        return [(entity.entity.value, None, None, None, None, None, None, "not verified")]
    own, *children = entity.tables
    rows = [_row(own, own.table, entity.unmappable.count)]
    return rows + [_row(child, f"  {child.table}", None) for child in children]


def _row(table: TableReport, name: str, unmappable: int | None) -> tuple[object, ...]:
    counts = (table.missing.count, table.surplus.count, table.stale.count)
    state = "agrees" if not table.differences and not unmappable else "differs"
    if state == "differs" and table.agrees and not unmappable:
        state = "mended"
    return (name, table.checked, *counts, unmappable, table.mended, state)


def _examples(entity: EntityReport) -> list[str]:
    findings = [
        (table.table, kind, finding)
        for table in entity.tables
        for kind, finding in (("missing", table.missing), ("surplus", table.surplus), ("stale", table.stale))
    ]
    findings.append((entity.entity.value, "unmappable", entity.unmappable))
    lines = []
    for table, kind, finding in findings:
        if finding.count:
            ids = ", ".join(finding.sample_ids) or "without an id"
            rest = finding.count - len(finding.sample_ids)
            lines.append(f"{table} {kind}: {ids}" + (f" and {rest:,} more" if rest else ""))
    if entity.unconfirmed:
        lines.append(
            f"{entity.entity.value}: {entity.unconfirmed:,} differing objects were too many to be asked for once more."
        )
    if entity.changed_meanwhile:
        lines.append(
            f"{entity.entity.value}: {entity.changed_meanwhile:,} more changed at the provider meanwhile; "
            "the next sync brings them."
        )
    return lines


def _conclusion(report: VerificationReport) -> str:
    tables = [table for entity in report.entities for table in entity.tables]
    checked = f"{counted(sum(table.checked for table in tables), 'row')} checked in {report.seconds:.1f} s."
    if report.session_id is not None:
        checked += f" Session {short_id(report.session_id)}."
    found, mended = sum(table.differences for table in tables), sum(table.mended for table in tables)
    if found and found == mended:
        return f"{report.source} differed in {counted(found, 'row')}, and was mended: {checked}"
    if found:
        remedy = f"Mend them: cyphera verify {report.source.replace(':', ' ')} --repair"
        return f"{report.source} differs in {counted(found - mended, 'row')}: {checked} {remedy}"
    unmappable = sum(entity.unmappable.count for entity in report.entities)
    if unmappable:
        return f"{report.source} agrees but for {counted(unmappable, 'object')} that cannot be mapped: {checked}"
    what = report.source if report.is_complete else f"What could be verified of {report.source}"
    return f"{what} agrees with the provider: {checked}"
