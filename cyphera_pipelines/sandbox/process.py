"""Running the sandbox in a process of its own, for benchmarks and for tests that kill things."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from cyphera_pipelines.sandbox.accounts import Account, read_account
from cyphera_pipelines.sandbox.change import Change
from cyphera_pipelines.sandbox.options import Fault, SandboxOptions
from cyphera_pipelines.sandbox.serialization import JsonObject, from_bytes, to_bytes
from cyphera_pipelines.sandbox.server import serve

_STOP_SECONDS = 10.0
_REQUEST_SECONDS = 120.0


class SandboxProcess:
    """A sandbox in a child process, driven through its control interface. A context manager; or `start` and `stop`.

    The methods are those of `SandboxState` as far as they make sense over HTTP; what is unknown raises KeyError, what
    makes no sense ValueError. The child ends with this process, even if this one is killed.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        options: SandboxOptions | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._setup = {
            "accounts": [account.model_dump(mode="json") for account in accounts],
            "options": (options or SandboxOptions()).model_dump(mode="json"),
            "host": host,
            "port": port,
        }
        self._child: subprocess.Popen[bytes] | None = None
        self._session = requests.Session()
        self.url = ""

    @property
    def pid(self) -> int:
        """The child's process id. Raises RuntimeError if it is not running."""
        if self._child is None:
            raise RuntimeError("the sandbox is not running")
        return self._child.pid

    def start(self) -> Self:
        """Start the child and wait until it answers. Raises RuntimeError if it does not start."""
        package_root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
        child = self._child = subprocess.Popen(
            [sys.executable, "-c", "from cyphera_pipelines.sandbox.process import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the sandbox has no pipes")
        child.stdin.write(to_bytes(self._setup) + b"\n")
        child.stdin.flush()
        self.url = child.stdout.readline().decode().strip()
        if not self.url:
            self.stop()
            raise RuntimeError("the sandbox did not start; its error output says why")
        return self

    def stop(self) -> None:
        """Stop the child."""
        child, self._child = self._child, None
        self._session.close()
        if child is None:
            return
        child.terminate()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _call(self, method: str, path: str, body: Any = None, stream: bool = False) -> requests.Response:
        response = self._session.request(
            method,
            f"{self.url}/_sandbox{path}",
            data=None if body is None else to_bytes(body),
            stream=stream,
            timeout=_REQUEST_SECONDS,
        )
        if response.status_code == 404:
            raise KeyError(from_bytes(response.content)["error"])
        if response.status_code == 400:
            raise ValueError(from_bytes(response.content)["error"])
        response.raise_for_status()
        return response

    def _read(self, method: str, path: str, body: Any = None) -> Any:
        return from_bytes(self._call(method, path, body).content)

    def put_account(self, account: Account) -> None:
        """Add or replace an account."""
        self._call("POST", "/accounts", account.model_dump(mode="json"))

    def set_options(self, options: SandboxOptions) -> None:
        """Replace the options; faults and rate limits start afresh."""
        self._call("PUT", "/options", options.model_dump(mode="json"))

    def change_options(self, **changes: Any) -> None:
        """Change some options while requests come in; see `SandboxState.change_options`."""
        self._call("PATCH", "/options", changes)

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Replace all faults; none switches them off."""
        self._call("PUT", "/faults", [fault.model_dump(mode="json") for fault in faults])

    def change_webhooks(self, **changes: Any) -> None:
        """Send webhooks otherwise from now on; see `SandboxState.change_webhooks`."""
        self._call("PATCH", "/webhooks", changes)

    def webhook_statistics(self) -> JsonObject:
        """Return what became of webhooks; see `SandboxState.webhook_statistics`."""
        statistics: JsonObject = self._read("GET", "/webhooks")
        return statistics

    def webhooks_not_arrived(self) -> JsonObject:
        """Return the ids of events by endpoint; see `SandboxState.webhooks_not_arrived`."""
        ids: JsonObject = self._read("GET", "/webhooks/not_arrived")
        return ids

    def add_webhook_endpoint(
        self, account_id: str, url: str, username: str | None = None, password: str | None = None
    ) -> str:
        """Send a Chargebee site's events somewhere; see `SandboxState.add_webhook_endpoint`."""
        body = {"account": account_id, "url": url, "username": username, "password": password}
        endpoint_id: str = self._read("POST", "/webhooks/endpoints", body)["id"]
        return endpoint_id

    def resend(self, account_id: str, event_id: str, endpoint_id: str | None = None) -> list[str]:
        """Send an event once more; see `SandboxState.resend`."""
        body = {"account": account_id, "event_id": event_id, "endpoint_id": endpoint_id}
        endpoints: list[str] = self._read("POST", "/webhooks/resend", body)["endpoints"]
        return endpoints

    def counters(self) -> JsonObject:
        """Return the request counts; see `Counters.snapshot`."""
        counts: JsonObject = self._read("GET", "/counters")
        return counts

    def reset_counters(self) -> None:
        """Set the request counts to zero."""
        self._call("DELETE", "/counters")

    def warm(self, account_id: str) -> None:
        """Fill an account's cache; see `SandboxState.warm`."""
        bare, _, mode = account_id.partition("/")
        self._call("POST", f"/accounts/{bare}/warm" + ("?livemode=true" if mode == "live" else ""))

    def truth(self, account_id: str, collection: str) -> Iterator[JsonObject]:
        """Yield every object of a collection, whole; see `Dataset.truth`."""
        with self._call("GET", f"{_account(account_id, 'truth', collection)}", stream=True) as response:
            for line in response.iter_lines(chunk_size=1 << 16, delimiter=b"\n"):
                if line:
                    yield from_bytes(line)

    def deleted_ids(self, account_id: str, collection: str) -> list[str]:
        """Return the ids of the deleted objects of a collection."""
        ids: list[str] = self._read("GET", _account(account_id, "deleted", collection))
        return ids

    def object(self, account_id: str, object_id: str) -> JsonObject:
        """Return one object, whole."""
        whole: JsonObject = self._read("GET", _account(account_id, "objects", object_id))
        return whole

    def apply_changes(
        self,
        account_id: str,
        *,
        create: Mapping[str, int] | None = None,
        update: Mapping[str, int] | None = None,
        delete: Mapping[str, int] | None = None,
        at: int | None = None,
    ) -> list[Change]:
        """Create, update and delete so many objects; see `Dataset.apply_changes`."""
        body = {
            "account": account_id,
            "create": dict(create or {}),
            "update": dict(update or {}),
            "delete": dict(delete or {}),
            "at": at,
        }
        return [Change(**change) for change in self._read("POST", "/changes", body)]

    def patch(
        self,
        account_id: str,
        object_id: str,
        patch: Mapping[str, Any] | None = None,
        *,
        remove: list[str] | None = None,
        with_event: bool = True,
        at: int | None = None,
    ) -> Change:
        """Overwrite and remove fields of one object; see `Dataset.patch`."""
        body = {
            "account": account_id,
            "object_id": object_id,
            "patch": dict(patch or {}),
            "remove": remove or [],
            "with_event": with_event,
            "at": at,
        }
        return Change(**self._read("POST", "/patch", body))

    def poison(self, account_id: str, object_id: str, kind: str, *, with_event: bool = False) -> Change:
        """Make one object awkward; see `Dataset.poison`."""
        body = {"account": account_id, "object_id": object_id, "kind": kind, "with_event": with_event}
        return Change(**self._read("POST", "/poison", body))

    def delete(self, account_id: str, object_id: str, *, at: int | None = None) -> Change:
        """Delete one object; see `Dataset.delete`."""
        return Change(**self._read("POST", "/delete", {"account": account_id, "object_id": object_id, "at": at}))


def _account(account_id: str, what: str, name: str) -> str:
    bare, _, mode = account_id.partition("/")
    return f"/accounts/{bare}/{what}/{name}" + ("?livemode=true" if mode == "live" else "")


def _say_url(url: str) -> None:
    sys.stdout.write(url + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """Leave when the parent's end of our input closes: a killed parent must not leave a server behind."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the child: the set-up comes as one line of JSON on standard input, the URL goes to standard output."""
    setup = from_bytes(sys.stdin.buffer.readline())
    accounts = [read_account(to_bytes(account)) for account in setup["accounts"]]
    options = SandboxOptions.model_validate_json(to_bytes(setup["options"]))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve(accounts, options, setup["host"], setup["port"], _say_url)
