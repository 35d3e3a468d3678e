"""Headers that there may be only one of: whoever reads the first and whoever reads the last would not see the same."""

from collections import Counter
from http import HTTPStatus

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from cyphera_pipelines.api.problems import ProblemError, problem_response

SINGLE = (
    "Authorization",
    "Content-Length",
    "Content-Type",
    "Host",
    "Idempotency-Key",
    "X-API-Key",
    "X-Workspace-ID",
)
SIGNATURE = "-signature"
"""How the headers end in which providers sign their webhooks."""


class SingleHeaders:
    """ASGI middleware. A request that repeats one of them, or a signature, is refused with status 400."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            # Their names are in lower case here.
            counts = Counter(name.decode("latin-1") for name, _value in scope["headers"])
            signatures = [name.title() for name in counts if name.endswith(SIGNATURE)]
            repeated = [name for name in (*SINGLE, *signatures) if counts[name.lower()] > 1]
            if repeated:
                await problem_response(HTTPConnection(scope), _refusal(repeated))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(repeated: list[str]) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "repeated-header",
        "A header is repeated",
        f"These headers are there more than once: {', '.join(repeated)}. Send each of them once.",
    )
