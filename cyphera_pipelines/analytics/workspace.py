"""A workspace's tables as pandas frames."""

from collections.abc import Collection, Generator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import pandas as pd

from cyphera_pipelines.analytics.arrow import arrow_batches, arrow_schema
from cyphera_pipelines.analytics.frames import frame_of
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.table_rows import RowSelection, Value
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
            self._id = find_workspace(self._database, slug).id
        except BaseException:
            self._database.close()
            raise
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
        selection = _selection(columns, where, since, until, livemode, deleted)
        with arrow_batches(self._database, self._id, name, selection) as batches:
            frames = [frame_of(batch) for batch in batches]
        if not frames:
            return frame_of(arrow_schema(name, selection).empty_table())
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


def _plain(frame: pd.DataFrame) -> dict[str, str]:
    return {name: "str" for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)}
