"""Signing in with a key, and out again."""

import logging
import re
import secrets
from http import HTTPStatus
from typing import Annotated

from fastapi import Form, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from cyphera_pipelines.api.ops.cookies import (
    give_form_token,
    give_token,
    read_form_token,
    read_token,
    take_token,
)
from cyphera_pipelines.api.ops.pages import OPS_PATH, page, url_for_ops
from cyphera_pipelines.api.ops.route import PublicRoute, SignedInRoute, check_form, ops_router
from cyphera_pipelines.api.ops.sign_in_attempts import SignInAttempts
from cyphera_pipelines.api.ops.viewers import csrf_token_of
from cyphera_pipelines.api.services import RequestServices
from cyphera_pipelines.model.key_levels import KeyExpiredError
from cyphera_pipelines.security.api_keys import KeyKind, parse_key
from cyphera_pipelines.store.api_keys import Caller, find_caller, find_workspace_of_key
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.operator_keys import OperatorKey, find_operator
from cyphera_pipelines.store.sign_ins import begin_sign_in, end_sign_in

TOKEN_BYTES = 32
LONGEST_KEY, LONGEST_NEXT = 200, 2_000
_OWN_PATH = re.compile(r"/ops(?:[/?][A-Za-z0-9/?&=%:._~+,!*'()-]*)?")
_WRONG = "This key does not sign anybody in. Check that it was copied whole, and that it was not revoked."
_log = logging.getLogger(__name__)

public_router, router = ops_router(PublicRoute), ops_router(SignedInRoute)


@public_router.get("/sign-in")
async def show(request: Request, wanted: Annotated[str, Query(alias="next")] = "") -> Response:
    """The form."""
    return _form(request, own_path(wanted))


@public_router.post("/sign-in")
async def sign_in(
    request: Request,
    services: RequestServices,
    key: Annotated[str, Form()] = "",
    wanted: Annotated[str, Form(alias="next")] = "",
) -> Response:
    """Check the key, and let the browser show a new token from now on."""
    then, form_token = own_path(wanted), read_form_token(request)
    if form_token is None:
        return _form(request, then, "Your browser sent no cookie of this page. Allow cookies here, and try again.")
    await check_form(request, csrf_token_of(form_token))
    attempts: SignInAttempts = request.app.state.sign_in_attempts
    address = request.client.host if request.client else ""
    wait = attempts.wait_of(address)
    if wait:
        return _form(
            request,
            then,
            f"There were too many wrong keys. Try again in {wait} seconds.",
            status=HTTPStatus.TOO_MANY_REQUESTS,
            headers={"Retry-After": str(wait)},
        )
    attempts.note_attempt(address)
    try:
        holder = await run_in_threadpool(_holder_of, services.database, key.strip())
    except KeyExpiredError as error:
        attempts.forgive(address)
        return _form(request, then, f"{error} Sign in with another one.", status=HTTPStatus.UNAUTHORIZED)
    if holder is None:
        return _form(request, then, _WRONG, status=HTTPStatus.UNAUTHORIZED)
    attempts.forgive(address)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    earlier = read_token(request)
    await run_in_threadpool(lambda: begin_sign_in(services.database, token, holder, instead_of=earlier))
    key_id = holder.key_id if isinstance(holder, Caller) else holder.id
    _log.info("Somebody has signed in to the operations page with the key %s.", key_id)
    response = RedirectResponse(f"{url_for_ops(request)}{then.removeprefix(OPS_PATH)}", HTTPStatus.SEE_OTHER)
    response.headers["Cache-Control"] = "no-store"
    give_token(request, response, token)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, services: RequestServices) -> Response:
    """End the sign-in, here and in the browser."""
    token = read_token(request)
    if token is not None:
        await run_in_threadpool(end_sign_in, services.database, token)
    response = RedirectResponse(url_for_ops(request, "/sign-in"), HTTPStatus.SEE_OTHER)
    response.headers["Cache-Control"] = "no-store"
    take_token(request, response)
    return response


def own_path(wanted: str) -> str:
    """Where to go after signing in: the wanted page if it is one of ours, else the first one."""
    is_own = len(wanted) <= LONGEST_NEXT and _OWN_PATH.fullmatch(wanted) and ".." not in wanted and "//" not in wanted
    return wanted if is_own else OPS_PATH


def _form(
    request: Request,
    then: str,
    problem: str | None = None,
    *,
    status: int = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response:
    token = read_form_token(request) or secrets.token_urlsafe(TOKEN_BYTES)
    response = page(
        request, None, "sign_in.html", status=status, next=then, problem=problem, form_token=csrf_token_of(token)
    )
    response.headers.update(headers or {})
    give_form_token(request, response, token)
    return response


def _holder_of(database: Database, text: str) -> OperatorKey | Caller | None:
    operator_key, workspace_key = parse_key(text, KeyKind.OPERATOR), parse_key(text)
    if operator_key is not None:
        return find_operator(database, operator_key)
    if workspace_key is None:
        return None
    workspace_id = find_workspace_of_key(database, workspace_key)
    return None if workspace_id is None else find_caller(database, workspace_id, workspace_key)
