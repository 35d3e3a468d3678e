"""How complete a workspace's data and figures are, and whether there are figures at all: read from the views."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables.figures import revenue_tables
from cyphera_pipelines.store.tables.metadata import FIGURES_SCHEMA
from cyphera_pipelines.store.views.definitions import LIVE_SCHEMA, TEST_SCHEMA, View, views


class NotAvailableError(CypheraError):
    """There are no figures: the data was never synced to its end, or nothing has been counted yet."""

    code = ErrorCode.FIGURES_NOT_AVAILABLE


@dataclass(frozen=True)
class EntityCompleteness:
    """A row of `analytics.completeness`; see the view's columns."""

    provider: str
    entity: Entity
    state: str
    as_of: datetime | None
    fully_listed_at: datetime | None
    missing_objects: int
    verified_at: datetime | None
    open_differences: int | None
    figures_built_at: datetime | None
    revenue_built_at: datetime | None
    figures_preset: str
    note: str | None


@dataclass(frozen=True)
class FiguresCompleteness:
    """A row of `analytics.figures_completeness`; amounts in whole units of the currency."""

    provider: str
    currency: str | None
    mrr: Decimal | None
    estimated_share: Decimal
    reconstructed_share: Decimal


@dataclass(frozen=True)
class Completeness:
    """What is known of a workspace's sources of one mode."""

    workspace: Workspace
    is_test_mode: bool
    entities: tuple[EntityCompleteness, ...]
    figures: tuple[FiguresCompleteness, ...]

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers of the sources, in order."""
        return tuple(dict.fromkeys(each.provider for each in self.entities))

    @property
    def available(self) -> tuple[str, ...]:
        """The providers of which there are figures."""
        return tuple(each for each in self.providers if self.missing_because(each) is None)

    def of(self, provider: str) -> tuple[EntityCompleteness, ...]:
        """The entities of one source."""
        return tuple(each for each in self.entities if each.provider == provider)

    def as_of(self, provider: str) -> datetime | None:
        """Until when all changes of all entities that were ever listed are there."""
        return min((each.as_of for each in self.of(provider) if each.as_of is not None), default=None)

    def revenue_missing_because(self, provider: str) -> str | None:
        """Why nothing is kept of that source's revenue, and what to do; None where something is."""
        entities = {each.entity: each for each in self.of(provider)}
        invoices = entities[Entity.INVOICES]
        if invoices.state == "never_synced":
            return invoices.note
        if invoices.revenue_built_at is None:
            key = f"{self.workspace.slug}:{provider}"
            return (
                f"Not available: the revenue of {key} has not been counted yet. "
                f"Count it: cyphera figures build {self.workspace.slug} {provider}"
            )
        return None

    def missing_because(self, provider: str) -> str | None:
        """Why there are no figures of that source, and what to do; None where there are."""
        entities = {each.entity: each for each in self.of(provider)}
        subscriptions = entities[Entity.SUBSCRIPTIONS]
        if subscriptions.state == "never_synced":
            return subscriptions.note
        if subscriptions.figures_built_at is None:
            key = f"{self.workspace.slug}:{provider}"
            return (
                f"Not available: no figures of {key} have been made yet; there are none without a subscription. "
                f"Make them: cyphera figures build {self.workspace.slug} {provider}"
            )
        return None

    def sentences(self, provider: str, currencies: Collection[str] | None = None) -> list[str]:
        """What a reader of the source's figures in those currencies, or in all, has to know, for people."""
        as_of, entities = self.as_of(provider), self.of(provider)
        said = [f"{provider}: " + ("never synced." if as_of is None else f"as of {_moment(as_of)}.")]
        built = next((each for each in entities if each.figures_built_at is not None), None)
        if built is not None:
            said.append(f"Counted {_moment(built.figures_built_at)} by the rules {built.figures_preset}.")
        said.append(self._about_verification(provider))
        said += [each.note for each in entities if each.note is not None]
        shown = [each for each in self.figures if each.provider == provider and _is_among(each.currency, currencies)]
        for what, share in (
            ("estimated", "estimated_share"),
            ("reconstructed from invoice lines", "reconstructed_share"),
        ):
            shares = [(str(each.currency).upper(), getattr(each, share)) for each in shown if getattr(each, share)]
            if shares:
                of = ", ".join(f"{value:.1%} in {currency}" for currency, value in shares)
                said.append(f"Of the present MRR, so much is {what}: {of}.")
        return said

    def _about_verification(self, provider: str) -> str:
        entities = self.of(provider)
        verified = [each.verified_at for each in entities if each.verified_at is not None]
        if not verified:
            return f"Never compared with the provider row by row (cyphera verify {self.workspace.slug} {provider})."
        differences = sum(each.open_differences or 0 for each in entities)
        rest = "" if len(verified) == len(entities) else f", {len(verified)} of {len(entities)} entities alone"
        rows = counted(differences, "row")
        return f"Compared with the provider row by row {_moment(min(verified))}{rest}: {rows} differed."


def _is_among(currency: str | None, currencies: Collection[str] | None) -> bool:
    return currencies is None or currency in currencies


def read_completeness(database: Database, workspace: Workspace, *, is_test_mode: bool) -> Completeness:
    """What is known of the workspace's sources of that mode."""
    with database.tenant(workspace.id) as connection:
        return Completeness(
            workspace,
            is_test_mode,
            tuple(_entities(connection, workspace.id, is_test_mode)),
            tuple(_figures(connection, workspace.id, is_test_mode)),
        )


def find_figures(
    database: Database,
    workspace: Workspace,
    *,
    is_test_mode: bool,
    provider: str | None = None,
    of_revenue: bool = False,
) -> Completeness:
    """The same, where there are figures: of that provider, or of any; those of revenue, or of subscriptions.

    Raises NotAvailableError that says why there are none, and what to do.
    """
    found = read_completeness(database, workspace, is_test_mode=is_test_mode)
    wanted = found.providers if provider is None else tuple(each for each in found.providers if each == provider)
    if not wanted:
        raise NotAvailableError(_no_source(database, found, provider))
    missing_because = found.revenue_missing_because if of_revenue else found.missing_because
    reasons = [missing_because(each) for each in wanted]
    if None not in reasons:
        raise NotAvailableError(" ".join(reason for reason in reasons if reason is not None))
    return found


def check_figures(database: Database, workspace: Workspace, view: str) -> None:
    """Raise NotAvailableError if the view, as in analytics.mrr_summary, shows figures and its mode has none."""
    found = {each.full_name: each for each in views()}
    if view in found and _is_of_figures(found[view]):
        is_test_mode = found[view].schema == TEST_SCHEMA
        find_figures(database, workspace, is_test_mode=is_test_mode, of_revenue=_is_of_revenue(found[view]))


def _is_of_figures(view: View) -> bool:
    """Whether it has no rows before figures were made; views of how complete they are have."""
    if view.name in _OF_COMPLETENESS or view.name == _OF_INVOICES:
        return False
    of_schema = {each.name: each for each in views() if each.schema == view.schema}
    return _FIGURES_IN_SQL in view.query or any(_is_of_figures(of_schema[name]) for name in view.uses)


def _is_of_revenue(view: View) -> bool:
    return any(f" {table.fullname}" in view.query for table in revenue_tables)


def _no_source(database: Database, found: Completeness, provider: str | None) -> str:
    slug = found.workspace.slug
    mode, other = ("test mode", "live data") if found.is_test_mode else ("live data", "test mode")
    what = "source" if provider is None else f"source at {provider}"
    other_mode = read_completeness(database, found.workspace, is_test_mode=not found.is_test_mode)
    if other_mode.providers if provider is None else provider in other_mode.providers:
        remedy = "leave out --test-mode" if found.is_test_mode else "add --test-mode"
        return f"Not available: workspace {slug} has no {what} with {mode}, but one with {other}: {remedy} for it."
    return (
        f"Not available: workspace {slug} has no {what}. Connect one: "
        f"cyphera source add {slug} {provider or 'PROVIDER'} --api-key-stdin"
    )


def _entities(connection: Connection, workspace_id: UUID, is_test_mode: bool) -> Sequence[EntityCompleteness]:
    order = {entity.value: place for place, entity in enumerate(Entity)}
    rows = connection.execute(text(_ENTITIES.format(schema=_schema(is_test_mode))), {"id": workspace_id}).mappings()
    ordered = sorted(rows, key=lambda row: (row["provider"], order[row["entity"]]))
    return [EntityCompleteness(**{**row, "entity": Entity(row["entity"])}) for row in ordered]


def _figures(connection: Connection, workspace_id: UUID, is_test_mode: bool) -> Sequence[FiguresCompleteness]:
    rows = connection.execute(text(_FIGURES.format(schema=_schema(is_test_mode))), {"id": workspace_id}).mappings()
    return [FiguresCompleteness(**row) for row in rows]


def _schema(is_test_mode: bool) -> str:
    return TEST_SCHEMA if is_test_mode else LIVE_SCHEMA


def _moment(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


_OF_COMPLETENESS = ("completeness", "figures_completeness")
_OF_INVOICES = "invoice_aging"
"""Tells of invoices as they are: of what is kept only in which currencies nothing is owed."""
_FIGURES_IN_SQL = f" {FIGURES_SCHEMA}."
_ENTITIES = (
    f"SELECT {', '.join(EntityCompleteness.__dataclass_fields__)} FROM {{schema}}.completeness WHERE workspace_id = :id"
)
_FIGURES = (
    f"SELECT {', '.join(FiguresCompleteness.__dataclass_fields__)} FROM {{schema}}.figures_completeness "
    "WHERE workspace_id = :id ORDER BY provider, currency"
)
