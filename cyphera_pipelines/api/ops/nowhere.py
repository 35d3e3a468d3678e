"""Every path below /ops that is no page."""

from cyphera_pipelines.api.ops.pages import no_such_page
from cyphera_pipelines.api.ops.route import ops_router
from cyphera_pipelines.api.ops.viewers import CurrentViewer

router = ops_router()


@router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def show_nothing(_viewer: CurrentViewer) -> None:
    """Say so."""
    raise no_such_page()
