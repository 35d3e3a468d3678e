"""What readiness says of each thing that keeps Dagster from carrying out a sync, by what its webserver answers."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from cyphera_pipelines.api.dagster_runs import HEARTBEAT_WITHIN, TICK_WITHIN, DagsterRuns

WELL = {"dagster": None, "code_location": None, "sensors": None}
LOADED = {"locationOrLoadError": {"__typename": "RepositoryLocation"}}
UNREACHABLE = "dagster._core.errors.DagsterUserCodeUnreachableError: Could not reach user code server.\n\nStack"
NOT_LOADED = {"locationOrLoadError": {"__typename": "PythonError", "message": UNREACHABLE}}


def daemons(seconds_ago: float) -> dict[str, Any]:
    heard_of = {"daemonType": "SENSOR", "required": True, "lastHeartbeatTime": time.time() - seconds_ago}
    return {"daemonHealth": {"allDaemonStatuses": [heard_of]}}


def sensor(seconds_ago: float | None, *, status: str = "RUNNING", error: str | None = None) -> dict[str, Any]:
    done = [] if seconds_ago is None else [{"timestamp": time.time() - seconds_ago}]
    latest = [{"error": error and {"message": error}}]
    return {"__typename": "Sensor", "sensorState": {"status": status, "latest": latest, "done": done}}


class _Webserver(BaseHTTPRequestHandler):
    answer: dict[str, Any]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"data": self.answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def runs() -> Iterator[DagsterRuns]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Webserver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        asked = DagsterRuns(f"http://127.0.0.1:{server.server_port}")
        yield asked
        asked.close()
        server.shutdown()


@pytest.mark.parametrize(
    ("changed", "check", "says"),
    [
        ({}, None, ""),
        ({"instance": daemons(HEARTBEAT_WITHIN + 60)}, "dagster", "(SENSOR): syncs wait until it runs"),
        (
            {"workspaceLocationEntryOrError": NOT_LOADED},
            "code_location",
            "is not loaded: dagster._core.errors.DagsterUserCodeUnreachableError: Could not reach user code server. Sy",
        ),
        (
            {"workspaceLocationEntryOrError": {"__typename": "PythonError"}},
            "code_location",
            "is not loaded: it is being",
        ),
        (
            {"sensorOrError": {"__typename": "SensorNotFoundError"}},
            "sensors",
            "Dagster knows no sensor pending_sessions",
        ),
        ({"sensorOrError": sensor(1, status="STOPPED")}, "sensors", "pending_sessions is switched off: switch it on"),
        ({"sensorOrError": sensor(None)}, "sensors", "was not looked at with success for 90 seconds. See its ticks"),
        (
            {"sensorOrError": sensor(TICK_WITHIN + 60, error="No database.\n\nStack")},
            "sensors",
            "for 90 seconds, the last time with: No database. See its ticks",
        ),
    ],
)
def test_one_sentence_per_thing_that_is_not_well(
    changed: dict[str, Any], check: str | None, says: str, runs: DagsterRuns
) -> None:
    well = {"instance": daemons(30), "workspaceLocationEntryOrError": LOADED, "sensorOrError": sensor(5)}
    _Webserver.answer = well | changed
    found = runs.problems()
    assert {name for name, problem in found.items() if problem is not None} == ({check} if check else set())
    if check is None:
        assert found == WELL
    else:
        assert says in str(found[check])
