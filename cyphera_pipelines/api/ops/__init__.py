"""The operations page at /ops: what every source does, for operators, and for holders of a workspace's key."""

from fastapi import FastAPI

from cyphera_pipelines.api.document import add_pages
from cyphera_pipelines.api.ops import (
    alerts,
    errors,
    fleet,
    nowhere,
    session_actions,
    sessions,
    sign_in,
    source_actions,
    sources,
)
from cyphera_pipelines.api.ops.assets import ASSETS_PATH, Assets

ROUTERS = (
    sign_in.public_router,
    sign_in.router,
    fleet.router,
    sources.router,
    source_actions.router,
    sessions.router,
    session_actions.router,
    alerts.router,
    errors.router,
    nowhere.router,
)
"""The last one answers for every other path below /ops: others come before it."""


def add_ops_page(app: FastAPI) -> None:
    """Serve the page, which is no part of the API's document."""
    app.mount(ASSETS_PATH, Assets(), name="ops-assets")
    add_pages(app, [route for router in ROUTERS[:-1] for route in router.routes])
    for router in ROUTERS:
        app.include_router(router)
