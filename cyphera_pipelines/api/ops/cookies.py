"""The page's cookies: out of scripts' reach, and over https bound to this very host.

They are sent along when somebody follows a link from an e-mail or a chat (SameSite=Lax): an alert's link must open
without another sign-in. No GET changes anything, and every form has a token of its own.
"""

import re

from starlette.requests import Request
from starlette.responses import Response

from cyphera_pipelines.api.ops.pages import OPS_PATH
from cyphera_pipelines.store.sign_ins import LASTS

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_SIGN_IN, _FORM = "cyphera-ops", "cyphera-ops-form"


def read_token(request: Request) -> str | None:
    """The token of the browser's sign-in, if it shows what could be one."""
    return _read(request, _SIGN_IN)


def read_form_token(request: Request) -> str | None:
    """The token that the form for signing in was given to the browser with."""
    return _read(request, _FORM)


def give_token(request: Request, response: Response, token: str) -> None:
    """Let the browser show the token from now on."""
    _give(request, response, _SIGN_IN, token, int(LASTS.total_seconds()))


def give_form_token(request: Request, response: Response, token: str) -> None:
    """Let the browser show that it was given the form, until it is closed."""
    _give(request, response, _FORM, token, None)


def take_token(request: Request, response: Response) -> None:
    """Let the browser forget its sign-in."""
    _give(request, response, _SIGN_IN, "", 0)


def _read(request: Request, name: str) -> str | None:
    token = request.cookies.get(_name(request, name), "")
    return token if _TOKEN.fullmatch(token) else None


def _give(request: Request, response: Response, name: str, token: str, seconds: int | None) -> None:
    is_secure = _is_secure(request)
    # A __Host- cookie cannot be set by another host of the domain, nor without TLS; it needs the path /.
    path = "/" if is_secure else f"{request.scope.get('root_path', '').rstrip('/')}{OPS_PATH}"
    response.set_cookie(
        _name(request, name), token, max_age=seconds, path=path, secure=is_secure, httponly=True, samesite="lax"
    )


def _name(request: Request, name: str) -> str:
    return f"__Host-{name}" if _is_secure(request) else name


def _is_secure(request: Request) -> bool:
    """Whether the browser speaks https, if need be to a proxy that the server trusts."""
    return request.url.scheme == "https"
