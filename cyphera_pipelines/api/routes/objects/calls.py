"""What the routes of all kinds of objects share: their parameters, and the call of the provider behind them.

Whatever asks a provider does so in a thread that no other request needs: it may take its time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import Depends, Header, Path, Query, Response
from pydantic import Field

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.problems import FieldProblem, invalid
from cyphera_pipelines.api.routes.configurations import active_configuration
from cyphera_pipelines.api.routes.objects.answers import answer_dry_run, answer_write
from cyphera_pipelines.api.schemas.fields import LARGEST_PAGE, ProviderPath
from cyphera_pipelines.api.schemas.objects.values import MomentIn, ObjectId
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.operations.asked import Asked, Request, checked_key
from cyphera_pipelines.operations.carrying_out import carry_out, show
from cyphera_pipelines.operations.concluding import as_json
from cyphera_pipelines.operations.opening import open_operations
from cyphera_pipelines.operations.reading import list_objects, read_object
from cyphera_pipelines.providers.base import ListPage, ListParameters, ObjectKind, Operation, Told
from cyphera_pipelines.store.api_keys import Caller
from cyphera_pipelines.store.sources import find_source_of

READS_WITHIN = 30.0
Result = TypeVar("Result")

ObjectPath = Annotated[ObjectId, Path(alias="id", description="The provider's id of the object.")]
OwnerQuery = Annotated[
    ObjectId | None,
    Query(description="The customer, or the connected account, whose it is; left out: the configuration's account."),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]([ -~]{0,253}[!-~])?$",
        description="Makes it happen once: the same key with the same request tells again what became of it. 1 to 255 "
        "printable characters. Left out, one is made, and told in the answer.",
    ),
]
DryRun = Annotated[bool, Query(description="Show what would be sent to the provider; send and keep nothing.")]


@dataclass(frozen=True)
class Call:
    """A call at one provider: by whom, and of which source."""

    services: Services
    caller: Caller
    provider: str

    async def ask(self, work: Callable[[Source], Result]) -> Result:
        """Have it done in a thread. Raises a problem where the workspace has no source at the provider."""
        with self.services.provider_calls.take(self.caller.workspace.id):
            return await anyio.to_thread.run_sync(
                lambda: work(self._source()), limiter=self.services.provider_call_threads
            )

    def _source(self) -> Source:
        source = find_source_of(self.services.database, self.caller.workspace.id, self.provider)
        if source is None:
            active_configuration(self.services, self.caller.workspace, self.provider)
            raise AssertionError("what is active is a source")
        return source


@dataclass(frozen=True)
class WriteCall(Call):
    """A write. `key` is what was given, if anything was."""

    key: str | None
    is_dry_run: bool

    async def send(
        self,
        kind: ObjectKind,
        operation: Operation,
        object_id: str | None = None,
        request: Request | None = None,
        *,
        owner_id: str | None = None,
    ) -> Response:
        """Carry it out, or show it, and answer with what became of it."""
        asked = Asked(kind, operation, object_id, request, owner_id)
        services = self.services
        if self.is_dry_run:
            return answer_dry_run(await self.ask(partial(show, services.database, services.keyring, asked=asked)))
        key = checked_key(self.key)
        carry = partial(carry_out, services.database, services.keyring, asked=asked, key=key)
        return answer_write(await self.ask(carry))


@dataclass(frozen=True)
class ReadCall(Call):
    """A read."""

    async def one(self, kind: ObjectKind, object_id: str, *, owner_id: str | None = None) -> dict[str, Any]:
        """The object, in the field's own terms."""

        def read(source: Source) -> Told[Any]:
            services = self.services
            with open_operations(
                services.database, services.keyring, source, kind, Operation.GET, within=READS_WITHIN
            ) as opened:
                return read_object(opened.provider, opened.account, kind, object_id, owner_id=owner_id)

        told = await self.ask(read)
        return as_json(told.item)

    async def some(
        self, kind: ObjectKind, parameters: ListParameters, *, owner_id: str | None = None
    ) -> dict[str, Any]:
        """A page of objects, in the field's own terms."""

        def read(source: Source) -> ListPage[Any]:
            services = self.services
            with open_operations(
                services.database, services.keyring, source, kind, Operation.LIST, within=READS_WITHIN
            ) as opened:
                return list_objects(opened.provider, opened.account, kind, parameters, owner_id=owner_id)

        page = await self.ask(read)
        items = [as_json(item) for item in page.items]
        return {"items": items, "next_cursor": page.next_cursor, "previous_cursor": page.previous_cursor}


def _write_call(
    provider: ProviderPath,
    caller: CurrentCaller,
    services: RequestServices,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> WriteCall:
    return WriteCall(services, caller, provider, idempotency_key, dry_run)


def _read_call(provider: ProviderPath, caller: CurrentCaller, services: RequestServices) -> ReadCall:
    return ReadCall(services, caller, provider)


def _list_parameters(
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="How many at most.")] = 20,
    starting_after: Annotated[
        ObjectId | None, Query(description="Go on after this: the `next_cursor` of a page, or an object's id.")
    ] = None,
    ending_before: Annotated[ObjectId | None, Query(description="The page that ends before this.")] = None,
    created_after: Annotated[MomentIn | None, Query(description="Made then or later.")] = None,
    created_before: Annotated[MomentIn | None, Query(description="Made before.")] = None,
    ids: Annotated[list[ObjectId] | None, Query(max_length=100, description="Only these objects.")] = None,
    filters: Annotated[
        list[Annotated[str, Field(pattern=r"^[a-z_.]{1,60}:[^\x00-\x1f\x7f]{1,255}$")]] | None,
        Query(
            alias="filter",
            max_length=20,
            description="Name and value, as in `status:active`; `GET /sync/providers` tells the names for each kind.",
        ),
    ] = None,
) -> ListParameters:
    if starting_after is not None and ending_before is not None:
        raise invalid(
            FieldProblem(
                location="query",
                field="ending_before",
                message="There are two cursors.",
                remedy="Give starting_after or ending_before, not both.",
            )
        )
    return ListParameters(
        limit=limit,
        starting_after=starting_after,
        ending_before=ending_before,
        created_after=created_after,
        created_before=created_before,
        ids=tuple(ids or ()),
        filters=dict(each.split(":", 1) for each in filters or ()),
    )


Writing = Annotated[WriteCall, Depends(_write_call)]
Reading = Annotated[ReadCall, Depends(_read_call)]
Listing = Annotated[ListParameters, Depends(_list_parameters)]
