"""One try to hand an event over."""

import time

import urllib3

from cyphera_pipelines.sandbox.webhooks.endpoint import Endpoint

_MOST_READ = 65_536
_POOLS = 64


class Poster:
    """Posts to endpoints, over connections that stay open. Safe to use from several threads."""

    def __init__(self, connections: int) -> None:
        # Of its own accord it follows no redirection and asks no proxy: what is sent stays on this machine.
        self._pool = urllib3.PoolManager(num_pools=_POOLS, maxsize=connections, retries=False)

    def post(self, endpoint: Endpoint, body: bytes, timeout_seconds: float) -> tuple[int | None, str | None]:
        """Return the answer's status, or None and why there was none."""
        try:
            answer = self._pool.request(
                "POST",
                endpoint.url,
                body=body,
                headers=endpoint.headers_for(body, int(time.time())),
                timeout=timeout_seconds,
                redirect=False,
                preload_content=False,
            )
            try:
                answer.read(_MOST_READ)
                if answer.length_remaining != 0:
                    # What else it says is of no interest, and may have no end.
                    answer.close()
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"
        return answer.status, None

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.clear()
