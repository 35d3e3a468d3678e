"""Dagster, as the API sees it: its webserver, asked over GraphQL."""

import logging
import time
from typing import Any

import httpx

from cyphera_pipelines.model.runs import (
    CODE_LOCATION,
    OUTBOX_SENSOR,
    PARTITION_TAG,
    REPOSITORY,
    RUN_KEY_TAG,
    SENSOR_TAG,
    SESSION_TAG,
    SOURCE_TAG,
    SOURCES_PARTITIONS,
    SYNC_JOB,
    VERIFICATION_JOB,
)
from cyphera_pipelines.model.sessions import Session, verification_in
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, tables_of
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.tables import PAYMENTS_SCHEMA

CONNECT_WITHIN = 1.0
# Shorter than the outbox sensor waits: what has not been answered by then is its business.
ANSWER_WITHIN = 8.0
# Each daemon beats every 30 seconds; Dagster itself calls one healthy that has been silent for half an hour.
HEARTBEAT_WITHIN = 120.0
# The sensor is looked at every five seconds, and Dagster gives a look a minute.
TICK_WITHIN = 90.0
_OUTBOX_SELECTOR = {
    "repositoryName": REPOSITORY,
    "repositoryLocationName": CODE_LOCATION,
    "sensorName": OUTBOX_SENSOR,
}
_log = logging.getLogger(__name__)

# The partition first: a new source's is otherwise added by a sensor, up to half a minute later. One that is there is
# answered with an error, which is none to us.
_LAUNCH = """
mutation StartSync($repository: RepositorySelector!, $partitions: String!, $key: String!, $run: ExecutionParams!) {
  addDynamicPartition(repositorySelector: $repository, partitionsDefName: $partitions, partitionKey: $key) {
    __typename
  }
  launchRun(executionParams: $run) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""

_TERMINATE = """
mutation CancelSync($run: String!) {
  terminateRun(runId: $run, terminatePolicy: SAFE_TERMINATE) {
    __typename
    ... on TerminateRunFailure { message }
    ... on Error { message }
  }
}
"""

_HEALTH = """
query Health($location: String!, $sensor: SensorSelector!) {
  instance { daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime } } }
  workspaceLocationEntryOrError(name: $location) {
    __typename
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on Error { message } } }
  }
  sensorOrError(sensorSelector: $sensor) {
    __typename
    ... on Sensor {
      sensorState {
        status
        latest: ticks(limit: 1) { error { message } }
        done: ticks(limit: 1, statuses: [SUCCESS, SKIPPED]) { timestamp }
      }
    }
  }
}
"""


class _RefusedError(Exception):
    """Dagster was reached and did not do what it was asked; the message says why."""


class DagsterRuns:
    """Dagster's webserver. Every failure to reach it is an answer, not an exception. Threads may share it."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        timeout = httpx.Timeout(ANSWER_WITHIN, connect=CONNECT_WITHIN)
        # A neighbour, often on loopback: never through a proxy that the environment names for the provider.
        self._client = httpx.Client(timeout=timeout, trust_env=False)

    def submit(self, session: Session, source_key: str) -> str | None:
        """Ask for the run that carries out a pending session, and return its id.

        None if Dagster could not be reached, did not answer in time or refused: the outbox sensor then picks the
        session up. The run bears the key under which that sensor would make its own, so it makes no second one.
        """
        variables = {
            "repository": {"repositoryName": REPOSITORY, "repositoryLocationName": CODE_LOCATION},
            "partitions": SOURCES_PARTITIONS,
            "key": source_key,
            "run": {"selector": _selector(session), "executionMetadata": {"tags": _tags(session, source_key)}},
        }
        try:
            answer = self._ask(_LAUNCH, variables)["launchRun"]
            if answer["__typename"] != "LaunchRunSuccess":
                raise _RefusedError(_reason(answer))
        except (httpx.HTTPError, _RefusedError) as error:
            _log.warning(
                "Session %s of %s waits for Dagster's sensor: its run could not be asked for: %s",
                session.id,
                source_key,
                _describe(error),
            )
            return None
        return str(answer["run"]["runId"])

    def terminate(self, run_id: str) -> bool:
        """Ask for the run to end as cancelled; whether Dagster agreed. A run that has ended is refused."""
        try:
            answer = self._ask(_TERMINATE, {"run": run_id})["terminateRun"]
            if answer["__typename"] != "TerminateRunSuccess":
                raise _RefusedError(_reason(answer))
        except (httpx.HTTPError, _RefusedError) as error:
            _log.info("Run %s could not be terminated: %s", run_id, _describe(error))
            return False
        return True

    def problems(self) -> dict[str, str | None]:
        """Why pending sessions will not be started: a sentence for people per check; None where all is well.

        The checks are `dagster` (its webserver answers, its daemons are at work), `code_location` (our code is loaded)
        and `sensors` (they are looked at). What cannot be told, since what it depends on is not well, is left out.
        """
        variables = {"location": CODE_LOCATION, "sensor": _OUTBOX_SELECTOR}
        try:
            answer = self._ask(_HEALTH, variables)
        except (httpx.HTTPError, _RefusedError) as error:
            return {"dagster": f"Dagster's webserver at {self._url} did not answer: {_describe(error)}"}
        found = {
            "dagster": _daemon_problem(answer["instance"]["daemonHealth"]["allDaemonStatuses"]),
            "code_location": _code_problem(answer["workspaceLocationEntryOrError"]),
        }
        if not any(found.values()):
            found["sensors"] = _sensor_problem(answer["sensorOrError"])
        return found

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        response = self._client.post(f"{self._url}/graphql", json={"query": query, "variables": variables})
        try:
            answer = response.json()
        except ValueError:
            raise _RefusedError(f"status {response.status_code} without JSON") from None
        if not isinstance(answer, dict) or answer.get("errors") or not isinstance(answer.get("data"), dict):
            problems = answer.get("errors") if isinstance(answer, dict) else None
            messages = [str(problem.get("message")) for problem in problems or []]
            raise _RefusedError(f"status {response.status_code}: {' '.join(messages) or 'no data'}")
        data: dict[str, Any] = answer["data"]
        return data


def _selector(session: Session) -> dict[str, Any]:
    selector: dict[str, Any] = {"repositoryName": REPOSITORY, "repositoryLocationName": CODE_LOCATION}
    if verification_in(session.config) is not None:
        return {**selector, "jobName": VERIFICATION_JOB}
    selector["jobName"] = SYNC_JOB
    tables = tables_of(session.entity_types)
    # All of them is the job itself: Dagster need not work out a part of it.
    if len(tables) < len(SYNCED_TABLES):
        selector["assetSelection"] = [{"path": [PAYMENTS_SCHEMA, table.name]} for table in tables]
    return selector


def _tags(session: Session, source_key: str) -> list[dict[str, str]]:
    tags = {
        PARTITION_TAG: source_key,
        SOURCE_TAG: source_key,
        SESSION_TAG: str(session.id),
        RUN_KEY_TAG: str(session.id),
        SENSOR_TAG: OUTBOX_SENSOR,
    }
    return [{"key": key, "value": value} for key, value in tags.items()]


def _daemon_problem(statuses: list[dict[str, Any]]) -> str | None:
    silent = [status["daemonType"] for status in statuses if status["required"] and _is_silent(status)]
    if not silent:
        return None
    return (
        f"Dagster's daemon was not heard of for {HEARTBEAT_WITHIN:.0f} seconds ({', '.join(sorted(silent))}): "
        "syncs wait until it runs. Start it with: cyphera daemon (or everything with: cyphera up)"
    )


def _code_problem(entry: dict[str, Any]) -> str | None:
    loaded = entry.get("locationOrLoadError") or {}
    if loaded.get("__typename") == "RepositoryLocation":
        return None
    reason = _first_line(str(loaded.get("message") or "it is being loaded, or Dagster was told of another one"))
    return (
        f"The code location {CODE_LOCATION} is not loaded: {reason}. Syncs wait until it is; see that the code server "
        "runs (cyphera code-server, or everything: cyphera up)."
    )


def _sensor_problem(sensor: dict[str, Any]) -> str | None:
    if sensor["__typename"] != "Sensor":
        return f"Dagster knows no sensor {OUTBOX_SENSOR}: it runs another code than this API."
    state = sensor["sensorState"]
    if state["status"] != "RUNNING":
        return f"The sensor {OUTBOX_SENSOR} is switched off: switch it on in Dagster's UI, under Automation."
    if state["done"] and time.time() - state["done"][0]["timestamp"] <= TICK_WITHIN:
        return None
    error = state["latest"][0]["error"] if state["latest"] else None
    reason = f", the last time with: {_first_line(error['message'])}" if error else ""
    return (
        f"The sensor {OUTBOX_SENSOR} was not looked at with success for {TICK_WITHIN:.0f} seconds{reason}. See its "
        "ticks in Dagster's UI, under Automation."
    )


def _first_line(text: str) -> str:
    return next(iter(redact(text).splitlines()), "").rstrip(".")


def _is_silent(status: dict[str, Any]) -> bool:
    heard_of: float | None = status["lastHeartbeatTime"]
    return heard_of is None or time.time() - heard_of > HEARTBEAT_WITHIN


def _reason(answer: dict[str, Any]) -> str:
    messages = [answer.get("message"), *(error.get("message") for error in answer.get("errors") or [])]
    return " ".join(str(message) for message in messages if message) or str(answer["__typename"])


def _describe(error: Exception) -> str:
    return _first_line(str(error)) or type(error).__name__
