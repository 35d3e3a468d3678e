"""Until when sources' figures are in step with their tables, and what they come to."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from cyphera_pipelines.model.currencies import exponent_of
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import (
    figure_builds,
    mrr_movements,
    revenue_tables,
    subscription_mrr,
    workspaces,
)


@dataclass(frozen=True)
class FigureBuild:
    """The last build of a source's figures that changed any. `rules` are those that it went by."""

    workspace: str
    provider: str
    livemode: bool
    built_at: datetime
    seen_until: datetime
    rules: dict[str, Any]
    rules_digest: str

    @property
    def source(self) -> str:
        """As in acme:stripe."""
        return f"{self.workspace}:{self.provider}"


def list_figure_builds(database: Database, workspace_id: UUID | None = None) -> list[FigureBuild]:
    """The builds of all sources, or of one workspace's."""
    own = figure_builds.c
    names = ("provider", "livemode", "built_at", "seen_until", "rules", "rules_digest")
    statement = select(workspaces.c.slug.label("workspace"), *(own[name] for name in names)).join(
        figure_builds, own.workspace_id == workspaces.c.id
    )
    if workspace_id is not None:
        statement = statement.where(own.workspace_id == workspace_id)
    with database.control() as connection:
        rows = connection.execute(statement.order_by(workspaces.c.slug, own.provider, own.livemode.desc()))
        return [FigureBuild(**row._mapping) for row in rows]


def are_figures_behind(database: Database, source: Source, *, livemode: bool) -> bool:
    """Whether a build of the source's figures may change any: asked of sources in which nothing seems to happen.

    It may if a subscription, a discount, a rule or a recent invoice was written since the last one, if there was none
    yet, and on each new day, on which trials, discounts and subscriptions end by themselves. That is a few searches of
    indexes. A row bears the moment at which its transaction began: those of a webhook's end within seconds.
    """
    with database.tenant(source.workspace_id) as connection:
        return bool(connection.execute(_ARE_BEHIND, _of_source(source, livemode)).scalar_one())


def present_mrr(database: Database, source: Source, *, livemode: bool) -> dict[str, Decimal]:
    """The source's monthly recurring revenue now, in whole units, by currency."""
    with database.tenant(source.workspace_id) as connection:
        rows = connection.execute(_PRESENT_MRR, _of_source(source, livemode)).all()
    return {
        row.currency: Decimal(row.mrr).scaleb(-exponent)
        for row in rows
        if (exponent := exponent_of(source.provider, row.currency)) is not None
    }


def count_figures(database: Database, source: Source, *, livemode: bool) -> dict[str, int]:
    """How many rows of figures the source has, by table."""
    with database.tenant(source.workspace_id) as connection:
        return dict(connection.execute(_COUNTS, _of_source(source, livemode)).one()._mapping)


def _of_source(source: Source, livemode: bool) -> dict[str, Any]:
    return {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}


_OF_SOURCE = "workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode"
_ARE_BEHIND = text(
    f"""
    WITH last AS (
        SELECT built_at, built_at - interval '1 minute' AS since FROM figures.figure_builds WHERE {_OF_SOURCE}
    )
    SELECT coalesce((SELECT built_at FROM last) < date_trunc('day', now(), 'UTC'), false)
        OR EXISTS (
            SELECT FROM figures.figure_rules WHERE workspace_id = :workspace_id
            AND updated_at > (SELECT since FROM last)
        )
        OR EXISTS (
            SELECT FROM payments.subscription_history WHERE {_OF_SOURCE}
            AND recorded_at > coalesce((SELECT since FROM last), '-infinity')
        )
        OR EXISTS (
            SELECT FROM payments.customer_discount_history WHERE {_OF_SOURCE}
            AND recorded_at > (SELECT since FROM last)
        )
        OR EXISTS (
            SELECT FROM figures.revenue_builds AS revenue WHERE {_OF_SOURCE}
            AND (built_at < date_trunc('day', now(), 'UTC') OR EXISTS (
                -- Of older ones a webhook may tell too: they are found on the next day.
                SELECT FROM payments.invoices AS invoice
                WHERE invoice.workspace_id = :workspace_id AND invoice.provider = :provider
                AND invoice.livemode = :livemode AND invoice.deleted_at IS NULL
                AND invoice.created > revenue.built_at - interval '2 days'
                AND invoice.synced_at > revenue.built_at - interval '1 minute'
            ))
        )
        OR (
            -- As of an account that bills by hand, in a database that was upgraded. Without views there is no revenue.
            to_regclass('analytics.revenue_lines') IS NOT NULL
            AND NOT EXISTS (SELECT FROM figures.revenue_builds WHERE {_OF_SOURCE})
            AND EXISTS (SELECT FROM payments.invoices WHERE {_OF_SOURCE} AND deleted_at IS NULL)
        )
    """
)
_PRESENT_MRR = text(
    f"SELECT currency, sum(mrr) AS mrr FROM figures.subscription_mrr WHERE {_OF_SOURCE} AND currency IS NOT NULL "
    "AND left_out_by IS NULL AND valid_from <= now() AND (valid_to IS NULL OR valid_to > now()) GROUP BY 1 ORDER BY 1"
)
_COUNTS = text(
    "SELECT "
    + ", ".join(
        f"(SELECT count(*) FROM {table.fullname} WHERE {_OF_SOURCE}) AS {table.name}"
        for table in (subscription_mrr, mrr_movements, *revenue_tables)
    )
)
