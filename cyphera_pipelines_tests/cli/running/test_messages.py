"""What `cyphera up` makes of its components' output, as they write it."""

import json
import os
import subprocess
import sys

import pytest

from cyphera_pipelines.cli.running.messages import Message, read_messages
from cyphera_pipelines.cli.running.repetitions import WITHIN, Repetitions
from cyphera_pipelines_tests.cli.command import DEADLINE_SECONDS

RUN = "7adde9b5-b0a8-4f84-9d19-b6761d65c8c9"
OF_A_RUN = f"2026-11-26 19:53:54 +0000 - dagster - ERROR - sync_source - {RUN} - 904 - "
FAILED_RUN = f"""\
{OF_A_RUN}sync_payment_source - STEP_FAILURE - Execution of step "sync_payment_source" failed.

dagster._core.definitions.events.Failure: Stripe rejects the API key: Invalid API Key provided. Enter it again.

Stack Trace:
  File "/venv/dagster/execute_plan.py", line 243, in dagster_event_sequence_for_step
    yield from check.generator(step_events)
{OF_A_RUN}RUN_FAILURE - Execution of run for "sync_source" failed. Steps failed: ['sync_payment_source'].

dagster._core.definitions.events.Failure: Stripe rejects the API key: Invalid API Key provided. Enter it again.
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "/venv/dagster/api.py", line 742, in job_execution_iterator
    raise error_cls()
sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) no route

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/venv/dagster/server.py", line 1, in serve
RuntimeError: the server is lost
"""
OURS = '{"time":"2026-11-26T19:46:13.946+00:00","level":"error","logger":"api","message":"It broke.","error":%s}'
OF_DAGSTER = (
    '{"event": "Sensor tick caught an error", "logger": "dagster.daemon", "level": "error", '
    '"exc_info": ["<class \'ValueError\'>", "ValueError(\'lost\')", "<traceback>"], '
    '"timestamp": "2026-11-26T19:33:46Z"}'
)


def read(text: str, component: str = "code server") -> list[Message]:
    return list(read_messages(component, text.splitlines()))


def test_a_run_that_failed_is_one_message_with_our_own_sentence() -> None:
    (message,) = read(FAILED_RUN)
    assert (message.component, message.level, message.fields["run_id"]) == ("run", "error", RUN)
    assert message.text == "Stripe rejects the API key: Invalid API Key provided. Enter it again."
    assert "Stack Trace" in message.more


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        (TRACEBACK, "error", "RuntimeError: the server is lost"),
        (OURS % json.dumps(TRACEBACK), "error", "It broke.: RuntimeError: the server is lost"),
        (OF_DAGSTER, "error", "Sensor tick caught an error: ValueError('lost')"),
        ("\x1b[31msk_test_0123456789abcdef\x1b[0m is odd", "info", "sk_test_*** is odd"),
        ("{not JSON", "info", "{not JSON"),
        (
            f"2026-11-26 19:53:54 +0000 - dagster - INFO - sync_source - {RUN} - step - Session 1 syncs acme:stripe.",
            "info",
            "Session 1 syncs acme:stripe.",
        ),
        (
            "2026-11-26 19:54:15 +0000 - dagster - INFO - __repository__ - failed_runs - It had ended.",
            "info",
            "failed_runs: It had ended.",
        ),
    ],
)
def test_what_is_said_is_one_line(text: str, level: str, said: str) -> None:
    (message,) = read(text)
    assert (message.level, message.text) == (level, said)
    assert json.loads(message.as_json())["message"] == said


def test_repetitions_are_counted() -> None:
    repetitions = Repetitions()
    said = [
        message.text
        for second in range(1_275)
        for message in repetitions.take(
            Message("daemon", "error", f"No answer from port 5432, attempt {second}"), second / 60
        )
    ]
    assert said == ["No answer from port 5432, attempt 0"]
    (other,) = repetitions.take(Message("API", "error", "No answer from port 5432, attempt 7"), 21.0)
    assert other.component == "API"
    (count,) = repetitions.due(WITHIN)
    assert count.text == "No answer from port 5432, attempt 1274 (1,274 more times within 30 s)"
    assert repetitions.rest() == []


RELAYING = """
import os, sys
from cyphera_pipelines.cli.running.processes import Children, Command
from cyphera_pipelines.cli.running.relay import Relay
relay = Relay(with_details=False)
says = "print('one'); print('{\\"message\\": \\"two\\", \\"level\\": \\"warning\\"}'); 1/0"
with Children(relay=relay) as children:
    children.start(Command("The daemon", [sys.executable, "-c", says], os.environ)).wait()
relay.end()
relay.tell("three")
"""


@pytest.mark.parametrize("at_a_terminal", [True, False])
def test_people_read_lines_and_programs_json(at_a_terminal: bool) -> None:
    ours, theirs = os.openpty() if at_a_terminal else os.pipe()
    subprocess.run([sys.executable, "-c", RELAYING], stderr=theirs, check=True, timeout=DEADLINE_SECONDS)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as file:
        lines = file.read(65_536).decode().splitlines()
    if at_a_terminal:
        assert [line[9:] for line in lines] == [
            "daemon       one",
            "daemon       warning: two",
            "daemon       error: ZeroDivisionError: division by zero (`cyphera --debug up` tells more)",
            "up           three",
        ]
    else:
        assert [json.loads(line)["message"] for line in lines] == [
            "one",
            "two",
            "ZeroDivisionError: division by zero",
            "three",
        ]
