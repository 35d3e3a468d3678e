"""The page at /docs. Everything that it loads comes from this server: closed networks have no other."""

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from cyphera_pipelines.api.document import TITLE, add_pages

PATH = "/docs"
ASSETS_PATH = "/docs/assets"
_ASSETS = ("fastapi_offline", "static")
_NO_ICON = "data:,"


def add_docs_page(app: FastAPI) -> None:
    """Serve Swagger UI, showing the application's own document."""
    app.mount(ASSETS_PATH, StaticFiles(packages=[_ASSETS]), name="docs-assets")
    app.add_api_route(PATH, _show, methods=["GET", "HEAD"], include_in_schema=False)
    add_pages(app, app.router.routes[-1:])


async def _show(request: Request) -> HTMLResponse:
    outside = request.scope.get("root_path", "").rstrip("/")
    return get_swagger_ui_html(
        openapi_url=f"{outside}{request.app.openapi_url}",
        title=f"{TITLE} API",
        swagger_js_url=f"{outside}{ASSETS_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{outside}{ASSETS_PATH}/swagger-ui.css",
        swagger_favicon_url=_NO_ICON,
        swagger_ui_parameters={"validatorUrl": None},
    )
