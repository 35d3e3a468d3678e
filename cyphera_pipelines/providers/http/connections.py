"""The process's connections, shared by all accounts, on watched sockets."""

import functools
import socket
from typing import Any

import requests
import urllib3
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from cyphera_pipelines.providers.http.attempt import BrokenOffError, current

CONNECT_TIMEOUT = 10.0
POOLED_CONNECTIONS = 128


@functools.lru_cache(maxsize=64)
def shared_session(base_url: str) -> requests.Session:
    """The process's one session for that address: all accounts and threads share its connections.

    It keeps no cookies (they would travel from tenant to tenant), follows no redirects (a provider's address is the one
    that was checked), and reads the proxy settings once.
    """
    session = _Session()
    session.proxies = dict(requests.utils.get_environ_proxies(base_url))
    session.trust_env = False
    session.cookies = _NoCookies()
    adapter = _WatchedAdapter(pool_connections=4, pool_maxsize=POOLED_CONNECTIONS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """None, though there be one: whoever is asked reads the answer, which may never end, before it turns away."""
        return None


class _NoCookies(RequestsCookieJar):
    def set_cookie(self, cookie: Any, *args: Any, **kwargs: Any) -> None:
        """Forget it."""


class _Watched:
    """What both kinds of connections do: tell the attempt that uses them of their socket."""

    sock: socket.socket | None

    def _new_conn(self) -> socket.socket:
        opening, attempt = super()._new_conn, current.get()  # type: ignore[misc]
        if attempt is None:
            opened: socket.socket = opening()
            return opened
        try:
            opened = attempt.connect(opening)
            attempt.watch(opened)
        except BrokenOffError as error:
            raise NewConnectionError(self, str(error)) from None  # type: ignore[arg-type]
        return opened

    def request(self, *args: Any, **kwargs: Any) -> None:
        attempt = current.get()
        if attempt is not None and self.sock is not None:
            attempt.watch(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]


class _WatchedHttp(_Watched, HTTPConnection):
    pass


class _WatchedHttps(_Watched, HTTPSConnection):
    pass


class _Pool:
    def _put_conn(self, conn: Any) -> None:
        attempt = current.get()
        if attempt is not None:
            attempt.release()
        super()._put_conn(conn)  # type: ignore[misc]


class _HttpPool(_Pool, HTTPConnectionPool):
    ConnectionCls = _WatchedHttp


class _HttpsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _WatchedHttps


class _WatchedAdapter(requests.adapters.HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _watch_connections_of(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        _watch_connections_of(manager)
        return manager


def _watch_connections_of(manager: urllib3.PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
