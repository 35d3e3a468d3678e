"""Whether the webhooks of what has just happened in a sandbox arrived."""

import time
from typing import Any

import httpx
import typer

from cyphera_pipelines.cli.sandbox_client import ask

PATIENCE = 10.0
LOOK_EVERY = 0.1
_COUNTED = ("happened", "arrived", "lost", "given_up", "dropped")


class Arrivals:
    """What becomes of the webhooks of things that happen after this was made."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._before = self._look()

    def show(self) -> bool:
        """Wait a little until none waits any more, print a line for each endpoint; return whether any arrived."""
        deadline = time.monotonic() + PATIENCE
        while self._waiting(now := self._look()) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
        has_arrived = False
        for identifier, (url, counts) in now.items():
            before = self._before.get(identifier, ("", {}))[1]
            new = {name: counts.get(name, 0) - before.get(name, 0) for name in _COUNTED}
            if new["happened"]:
                typer.echo(_line(url, new, counts))
                has_arrived = has_arrived or new["arrived"] > 0
        return has_arrived

    def _look(self) -> dict[str, tuple[str, dict[str, Any]]]:
        shown = ask(self._client, "GET", "/webhooks")["endpoints"]
        return {each["id"]: (each["url"], each["statistics"]) for each in shown}

    def _waiting(self, now: dict[str, tuple[str, dict[str, Any]]]) -> bool:
        return any(counts.get("waiting") for _url, counts in now.values())


def _line(url: str, new: dict[str, int], counts: dict[str, Any]) -> str:
    said = [f"{new['arrived']} arrived"]
    said += [f"{counts['waiting']} still wait"] if counts["waiting"] else []
    said += [f"{new['lost']} lost"] if new["lost"] else []
    said += [f"{new['given_up']} given up"] if new["given_up"] else []
    said += [f"{new['dropped']} not sent to an endpoint that is gone"] if new["dropped"] else []
    is_taken = new["arrived"] >= new["happened"]
    why = "" if is_taken or not counts["last_failure"] else f" Last failure: {counts['last_failure']}"
    plural = "" if new["happened"] == 1 else "s"
    return f"Webhooks of {new['happened']} event{plural} to {url}: {', '.join(said)}.{why}"
