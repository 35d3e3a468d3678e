"""The OpenAPI document, finished: what the framework cannot know, or says differently."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute, Route

from cyphera_pipelines import __version__
from cyphera_pipelines.api.problems import Problem

TITLE = "Cyphera Pipelines"
SUMMARY = "Keeps each workspace's payment data as Postgres tables, up to date."
DESCRIPTION = """
Connect a workspace's account at a payment provider, start its initial sync, and watch it.

1. `POST /api/v1/sync/config` stores the credentials, encrypted; they never come out again.
2. `POST /api/v1/sync/config/{config_id}/test` tells which account they reach and what they may not read.
3. `POST /api/v1/sync/{provider}/initial` starts the sync and answers at once with a session.
4. `GET /api/v1/sync/sessions/{session_id}/status` tells how far it is: percent, rows per second, seconds left.

Every call names its workspace twice: `X-API-Key` holds a key, `X-Workspace-ID` the id of the workspace that the key
was made for. An operator makes keys with `cyphera key create SLUG`, which shows a key once. Other workspaces' resources
do not exist for you: they are answered with 404.

A session ends `completed`, `partial`, `failed` or `cancelled`. `partial` means that some entity or object did not make
it, which `error_summary` names, and that all the others did. A client that was written when there were only
`completed`, `failed` and `cancelled` should treat `partial` as it does `failed`: final, to be looked at, and to be
synced again; it must not wait for another status, since none follows. `pending` comes before `running`: the sync waits
to begin.

Objects are read and written at the provider itself under `/api/v1/{provider}/`. A write takes a key of the level
`write`, happens once for each `Idempotency-Key`, and is answered with 202 while nobody knows whether it happened.

Errors are problem documents (RFC 9457, `application/problem+json`): `type` for programs, `detail` and `errors` for
people, and `error` for whoever wants one text. `error_code` is a word for the kind of error, the same in documents,
sessions, their events and commands; `cyphera errors CODE` and docs/errors.md tell what to do about each. Times are
RFC 3339 in UTC. Lists take `limit` and `offset`, and tell both and the `total`. A field that may be left out may be
null too, which says the same. `X-Request-ID` comes back with every answer; send one to have your own.
"""
TAGS = [
    {"name": "Configurations", "description": "Connecting a workspace's account at a provider."},
    {"name": "Providers", "description": "What can be connected."},
    {"name": "Syncs", "description": "Starting syncs."},
    {"name": "Sessions", "description": "Watching syncs, and stopping them."},
    {"name": "Customers", "description": "Customers at a provider, read and written there."},
    {"name": "Products", "description": "What is sold, at a provider."},
    {"name": "Prices", "description": "What products cost, at a provider."},
    {"name": "Subscriptions", "description": "Subscriptions at a provider."},
    {"name": "Invoices", "description": "Bills at a provider."},
    {"name": "Payments", "description": "Payments at a provider."},
    {"name": "Refunds", "description": "Money given back, at a provider."},
    {"name": "External accounts", "description": "Where providers pay money out to, and what they charge."},
    {"name": "Writes", "description": "What was written at providers, and what became of it."},
    {"name": "Accounts", "description": "Which provider accounts are the workspace's."},
    {"name": "Audit trail", "description": "Who did what to the workspace, its configurations and its keys."},
    {"name": "Purges", "description": "Removing everything that is kept of a workspace or a source."},
    {"name": "Webhooks", "description": "What providers tell by themselves; their signature stands for a key."},
    {"name": "Operations", "description": "Health and metrics; no key is asked for."},
]


class DocumentedApi(FastAPI):
    """FastAPI with the document finished."""

    def openapi(self) -> dict[str, Any]:
        """The document."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=TITLE,
                version=__version__,
                summary=SUMMARY,
                description=DESCRIPTION,
                routes=self.routes,
                tags=TAGS,
            )
            self.openapi_schema = _finish(document)
        return self.openapi_schema

    def templates(self) -> dict[str, Route]:
        """Something that tells whether a path fits, for every path of the document."""
        return {path: Route(path, endpoint=_nobody, methods=None) for path in self.openapi()["paths"]}


def _finish(document: dict[str, Any]) -> dict[str, Any]:
    document["components"]["schemas"]["Problem"] = Problem.model_json_schema(
        ref_template="#/components/schemas/{model}", mode="serialization"
    )
    for name, schema in document["components"]["schemas"]["Problem"].pop("$defs", {}).items():
        document["components"]["schemas"][name] = schema
    for item in document["paths"].values():
        for operation in item.values():
            # "Create configuration" of `createConfiguration`: our functions' names say less.
            words = re.sub("[A-Z]", lambda capital: f" {capital[0].lower()}", operation["operationId"])
            operation["summary"] = words.capitalize()
            if "security" in operation:
                # Both headers, where the framework says either.
                operation["security"] = [{name: [] for either in operation["security"] for name in either}]
            body = operation.get("requestBody")
            if body is not None and not body.get("required"):
                # It may be left out, but it may not be null.
                for content in body["content"].values():
                    content["schema"] = content["schema"]["anyOf"][0]
            if body is None:
                for status in ("408", "413", "415"):
                    operation["responses"].pop(status, None)
    return document


def add_pages(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Let it be known what these routes take, which are none of the document's."""
    app.state.pages = [*getattr(app.state, "pages", ()), *routes]


async def _nobody(_request: object) -> None:
    """Never called."""
