"""The control interface under `/_sandbox`: JSON, without authentication, for tests and demos on the same machine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from cyphera_pipelines.sandbox.accounts import read_account
from cyphera_pipelines.sandbox.options import Fault, SandboxOptions
from cyphera_pipelines.sandbox.serialization import JsonObject, from_bytes, to_bytes
from cyphera_pipelines.sandbox.state import SandboxState
from cyphera_pipelines.sandbox.webhook_control import webhook_handlers

_LINES_PER_CHUNK = 200


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChangesBody(_Body):
    """So many objects of each collection, as in `{"account": "acct_1", "create": {"customers": 3}}`."""

    account: str
    create: dict[str, int] = Field(default_factory=dict)
    update: dict[str, int] = Field(default_factory=dict)
    delete: dict[str, int] = Field(default_factory=dict)
    at: int | None = None


class PatchBody(_Body):
    """New values for top-level fields of one object, and fields to remove."""

    account: str
    object_id: str
    patch: dict[str, Any] = Field(default_factory=dict)
    remove: list[str] = Field(default_factory=list)
    with_event: bool = True
    at: int | None = None


class PoisonBody(_Body):
    """One object to make awkward."""

    account: str
    object_id: str
    kind: str
    with_event: bool = False


class DeleteBody(_Body):
    """One object to delete."""

    account: str
    object_id: str
    at: int | None = None


def _json(value: Any, status: int = 200) -> Response:
    return Response(to_bytes(value), status, media_type="application/json")


def _answering_errors(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turn what a handler raises into `{"error": ...}`: 404 for what is unknown, 400 for what makes no sense."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except KeyError as error:
            return _json({"error": f"unknown: {error.args[0]}"}, 404)
        except ValidationError as error:
            return _json({"error": str(error)}, 400)
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    return handle


def control_routes(state: SandboxState) -> list[Route]:
    """Return the routes of the control interface, paths relative to `/_sandbox`."""

    async def health(_request: Request) -> Response:
        return _json({"status": "ok", "accounts": len(state.accounts)})

    async def list_accounts(_request: Request) -> Response:
        return _json([account.model_dump(mode="json") for account in state.accounts])

    async def put_account(request: Request) -> Response:
        account = read_account(await request.body())
        state.put_account(account)
        return _json(account.model_dump(mode="json"))

    async def changes(request: Request) -> Response:
        body = ChangesBody.model_validate_json(await request.body())
        made = state.apply_changes(body.account, create=body.create, update=body.update, delete=body.delete, at=body.at)
        return _json([change.as_json() for change in made])

    async def patch(request: Request) -> Response:
        body = PatchBody.model_validate(from_bytes(await request.body()))
        change = state.patch(
            body.account,
            body.object_id,
            body.patch,
            remove=body.remove,
            with_event=body.with_event,
            at=body.at,
        )
        return _json(change.as_json())

    async def poison(request: Request) -> Response:
        body = PoisonBody.model_validate_json(await request.body())
        return _json(state.poison(body.account, body.object_id, body.kind, with_event=body.with_event).as_json())

    async def delete(request: Request) -> Response:
        body = DeleteBody.model_validate_json(await request.body())
        return _json(state.delete(body.account, body.object_id, at=body.at).as_json())

    async def truth(request: Request) -> Response:
        objects = state.truth(_account_id(request), request.path_params["collection"])
        first = next(objects, None)
        return StreamingResponse(_ndjson(first, objects), media_type="application/x-ndjson")

    async def warm(request: Request) -> Response:
        await asyncio.to_thread(state.warm, _account_id(request))
        return _json({"status": "ok"})

    async def deleted(request: Request) -> Response:
        return _json(state.deleted_ids(_account_id(request), request.path_params["collection"]))

    async def one_object(request: Request) -> Response:
        return _json(state.object(_account_id(request), request.path_params["object_id"]))

    async def get_options(_request: Request) -> Response:
        return _json(state.options.model_dump(mode="json"))

    async def put_options(request: Request) -> Response:
        state.set_options(SandboxOptions.model_validate_json(await request.body()))
        return _json(state.options.model_dump(mode="json"))

    async def change_options(request: Request) -> Response:
        changes = from_bytes(await request.body())
        state.change_options(SandboxOptions.model_validate({**state.options.model_dump(), **changes}))
        return _json(state.options.model_dump(mode="json"))

    async def get_faults(_request: Request) -> Response:
        active = [fault.model_dump(mode="json") for fault in state.faults.active]
        return _json({"faults": active, "hits": state.faults.hits})

    async def put_faults(request: Request) -> Response:
        state.faults.set([Fault.model_validate(fault) for fault in from_bytes(await request.body())])
        return await get_faults(request)

    async def add_fault(request: Request) -> Response:
        state.faults.add(Fault.model_validate_json(await request.body()))
        return await get_faults(request)

    async def clear_faults(request: Request) -> Response:
        state.faults.clear()
        return await get_faults(request)

    async def get_counters(_request: Request) -> Response:
        return _json(state.counters.snapshot())

    async def reset_counters(_request: Request) -> Response:
        state.counters.reset()
        return _json(state.counters.snapshot())

    async def requests(_request: Request) -> Response:
        return _json([seen._asdict() for seen in state.counters.recent])

    table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "/health", health),
        ("GET", "/accounts", list_accounts),
        ("POST", "/accounts", put_account),
        ("GET", "/accounts/{account_id}/truth/{collection}", truth),
        ("POST", "/accounts/{account_id}/warm", warm),
        ("GET", "/accounts/{account_id}/deleted/{collection}", deleted),
        ("GET", "/accounts/{account_id}/objects/{object_id}", one_object),
        ("POST", "/changes", changes),
        ("POST", "/patch", patch),
        ("POST", "/poison", poison),
        ("POST", "/delete", delete),
        ("GET", "/options", get_options),
        ("PUT", "/options", put_options),
        ("PATCH", "/options", change_options),
        ("GET", "/faults", get_faults),
        ("PUT", "/faults", put_faults),
        ("POST", "/faults", add_fault),
        ("DELETE", "/faults", clear_faults),
        ("GET", "/counters", get_counters),
        ("DELETE", "/counters", reset_counters),
        ("GET", "/requests", requests),
        *webhook_handlers(state),
    ]
    return [Route(path, _answering_errors(handler), methods=[method]) for method, path, handler in table]


def _account_id(request: Request) -> str:
    """An account that is there in both modes is asked for with `?livemode=true` or in test mode without."""
    suffix = "/live" if request.query_params.get("livemode") == "true" else ""
    account_id: str = request.path_params["account_id"]
    return account_id + suffix


async def _ndjson(first: JsonObject | None, rest: Iterator[JsonObject]) -> AsyncIterator[bytes]:
    """One object a line. Other requests get their turn between chunks."""
    if first is None:
        return
    lines = [to_bytes(first)]
    for whole in rest:
        lines.append(to_bytes(whole))
        if len(lines) >= _LINES_PER_CHUNK:
            yield b"\n".join(lines) + b"\n"
            lines = []
            await asyncio.sleep(0)
    if lines:
        yield b"\n".join(lines) + b"\n"
