"""A workspace's tables as pandas frames."""

from collections.abc import Collection, Generator, Mapping, Sequence
from datetime import date, datetime
from types import TracebackType
from typing import Literal, Self

import pandas as pd

from cyphera_pipelines.analytics.arrow import arrow_batches, arrow_schema
from cyphera_pipelines.analytics.figures import KEY, By, of_each_customer, of_each_day, today, with_amounts
from cyphera_pipelines.analytics.frames import frame_of
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.completeness import check_figures, find_figures
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.table_rows import RowSelection, Value
from cyphera_pipelines.store.views.definitions import LIVE_SCHEMA, TEST_SCHEMA
from cyphera_pipelines.store.workspaces import find_workspace

Where = Mapping[str, Value | Collection[Value]]


class Workspace:
    """One workspace's synced data, read from the database that the environment's settings name.

    ```python
    with Workspace("acme") as acme:
        invoices = acme.table("invoices", where={"status": ["open", "paid"]}, since=datetime(2026, 1, 1, tzinfo=UTC))
    ```

    What rows may be is narrowed down in Postgres, under row-level security. Raises NotFoundError for a workspace that
    is not there, and DatabaseUnavailableError.
    """

    def __init__(self, slug: str) -> None:
        self._database = open_database(load_settings(), application_name="cyphera analytics", pool_size=2)
        try:
            self._workspace = find_workspace(self._database, slug)
        except BaseException:
            self._database.close()
            raise
        self._id = self._workspace.id
        self.slug = slug

    def table(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        livemode: bool | None = None,
        deleted: bool = False,
    ) -> pd.DataFrame:
        """The table's rows, in the order of their key; whole in memory: see `chunks` for large ones.

        Without `columns` all but `raw` and `content_hash` are there. `since` and `until` are bounds of when objects
        were created, the second exclusive; `livemode` None is both modes; `deleted` adds what is gone at the provider.
        Amounts are whole numbers of minor units, as in the table (Int64); other dtypes: see `frames.frame_of`.
        Raises InvalidInputError for a table or column that is not there.
        """
        return self._frame(name, _selection(columns, where, since, until, livemode, deleted))

    def view(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        test_mode: bool = False,
    ) -> pd.DataFrame:
        """The rows of a view of schema `analytics`, as in "invoices"; of `analytics_test` where `test_mode` is true.

        They are of one mode, without what is gone, and in no order; amounts are `decimal.Decimal` in whole units of the
        row's currency. Otherwise as `table`. Raises NotAvailableError where it has no row because there are no figures.
        """
        view = f"{TEST_SCHEMA if test_mode else LIVE_SCHEMA}.{name}"
        frame = self._frame(view, _selection(columns, where, since, until, None, False))
        if frame.empty:
            check_figures(self._database, self._workspace, view)
        return frame

    def mrr(
        self,
        by: By = "month",
        *,
        currency: str | None = None,
        provider: str | None = None,
        until: date | None = None,
        minor_units: bool = False,
        test_mode: bool = False,
    ) -> pd.DataFrame:
        """What each month or day closed with, or what each customer brings; never summed across currencies.

        Columns: provider, currency, then month, day or customer_id, and mrr. Months and days are whole, from the first
        with MRR to today's, or to `until`'s; customers are those with MRR at the end of `until`. `mrr` is
        `decimal.Decimal` in whole units of the currency, with its decimals, or with `minor_units` Int64. Raises
        NotAvailableError where there are no figures, with what to do.
        """
        self._need_figures(provider, test_mode)
        last = until or today()
        if by == "month":
            frame = self.view("mrr_summary", where=_of(provider, currency), test_mode=test_mode)
            frame = frame[frame["month"] <= pd.Timestamp(last)].rename(columns={"closing_mrr": "mrr"})
            frame = frame[[*KEY, "month", "mrr"]].sort_values([*KEY, "month"]).reset_index(drop=True)
        elif by in ("day", "customer"):
            frame = self.view("mrr_movements", where=_of(provider, currency), test_mode=test_mode)
            frame = frame[frame["day"] <= pd.Timestamp(last)]
            frame = of_each_day(frame, last) if by == "day" else of_each_customer(frame)
        else:
            raise InvalidInputError(f"MRR is by month, day or customer, not by {by!r}.")
        return with_amounts(frame, ["mrr"], minor_units=minor_units)

    def movements(
        self,
        by: Literal["month", "day"] = "month",
        *,
        currency: str | None = None,
        provider: str | None = None,
        minor_units: bool = False,
        test_mode: bool = False,
    ) -> pd.DataFrame:
        """How each customer's MRR moved: rows of the view mrr_movements_monthly, or of mrr_movements; as `mrr`."""
        if by not in ("month", "day"):
            raise InvalidInputError(f"Movements are by month or day, not by {by!r}.")
        self._need_figures(provider, test_mode)
        name = "mrr_movements_monthly" if by == "month" else "mrr_movements"
        frame = self.view(name, where=_of(provider, currency), test_mode=test_mode)
        frame = frame.sort_values([*KEY, by, "customer_id"]).reset_index(drop=True)
        return with_amounts(frame, ["opening_mrr", "change_mrr", "closing_mrr"], minor_units=minor_units)

    def completeness(self, *, test_mode: bool = False) -> pd.DataFrame:
        """Until when each entity of each source is there, what is missing, and what is to be done about it."""
        return self.view("completeness", test_mode=test_mode)

    def _need_figures(self, provider: str | None, test_mode: bool) -> None:
        find_figures(self._database, self._workspace, is_test_mode=test_mode, provider=provider)

    def _frame(self, name: str, selection: RowSelection) -> pd.DataFrame:
        with arrow_batches(self._database, self._id, name, selection) as batches:
            frames = [frame_of(batch) for batch in batches]
        if not frames:
            return frame_of(arrow_schema(self._database, name, selection).empty_table())
        # Categories of one piece are not those of the next.
        together = pd.concat([frame.astype(_plain(frame)) for frame in frames], ignore_index=True)
        return together.astype(dict.fromkeys(_plain(frames[0]), "category"))

    def chunks(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        livemode: bool | None = None,
        deleted: bool = False,
    ) -> Generator[pd.DataFrame, None, None]:
        """The same piece by piece, some thousand rows each: for tables that are larger than memory."""
        selection = _selection(columns, where, since, until, livemode, deleted)
        with arrow_batches(self._database, self._id, name, selection) as batches:
            yield from map(frame_of, batches)

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _selection(
    columns: Sequence[str] | None,
    where: Where | None,
    since: datetime | None,
    until: datetime | None,
    livemode: bool | None,
    deleted: bool,
) -> RowSelection:
    chosen = None if columns is None else tuple(columns)
    return RowSelection(chosen, livemode=livemode, deleted=deleted, since=since, until=until, where=where or {})


def _of(provider: str | None, currency: str | None) -> Where:
    wanted = {"provider": provider, "currency": None if currency is None else currency.lower()}
    return {name: value for name, value in wanted.items() if value is not None}


def _plain(frame: pd.DataFrame) -> dict[str, str]:
    return {name: "str" for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)}
