"""What the error codes mean, for whoever follows one from another page."""

from fastapi import Request, Response

from cyphera_pipelines.api.ops.pages import page
from cyphera_pipelines.api.ops.route import ops_router
from cyphera_pipelines.api.ops.viewers import CurrentViewer
from cyphera_pipelines.model.error_codes import ErrorCode, WhoActs

router = ops_router()


@router.get("/errors")
def show(request: Request, viewer: CurrentViewer) -> Response:
    """All codes, in alphabetical order, each with an anchor that is the code itself."""
    codes = sorted(ErrorCode)
    by_who = {who: [code for code in codes if code.who is who] for who in WhoActs}
    return page(request, viewer, "errors.html", codes=codes, by_who=by_who)
