"""What the programs of `cyphera up` say, as messages: from JSON lines of ours and of Dagster's, and from plain text."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from cyphera_pipelines.security.secrets import redact

LEVELS = ("debug", "info", "warning", "error", "critical")
OF_NO_SECRETS = "sandbox"
"""The component that knows none: the keys that it tells are for everybody."""
_TRACEBACK = "Traceback (most recent call last):"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# How Dagster writes what happens in a run, or in a sensor's look; what follows below it belongs to it.
_HEAD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} - dagster - (?P<level>[A-Z]+) - (?P<rest>.*)")
_OF_RUN = re.compile(r"\S+ - (?P<run>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) - (?:\d+ - )?(?P<said>.*)")
_EVENT = re.compile(r"(?:\S+ - )?(?P<type>[A-Z]+_[A-Z_]+) - (?P<said>.*)")
_REASON = re.compile(r"^(?:[a-z_]\w*\.)+\w+(?:: (?P<said>.*))?$")
# Of two messages that differ in these only, one tells it all.
_VARYING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Message:
    """One thing that a component said, or a run. `text` is one line; `more` is the rest of it, as a traceback."""

    component: str
    level: str
    text: str
    more: str = ""
    logger: str = ""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> tuple[str, str]:
        """What repetitions have in common."""
        return f"{self.component} {self.fields.get('run_id', '')}", _VARYING.sub("#", self.text)

    def as_json(self) -> str:
        """One line."""
        line = {
            "time": self.time.isoformat(timespec="milliseconds"),
            "component": self.component,
            "level": self.level,
            "logger": self.logger,
            "message": self.text,
            "more": self.more,
            **self.fields,
        }
        return orjson.dumps({name: value for name, value in line.items() if value != ""}, default=str).decode()


def read_messages(component: str, lines: Iterable[str]) -> Iterator[Message]:
    """The messages in lines that came at once: a JSON line, a traceback, or what Dagster says of a run, is one.

    Of a run that failed it tells twice, the second time without a reason: that is left out.
    """
    text: list[str] = []
    for line in lines:
        record = _json(line)
        plain = _COLOURS.sub("", line).rstrip()
        if record is not None or _HEAD.match(plain):
            yield from _of_text(component, text)
            text = []
        if record is not None:
            yield _of_record(component, record)
        elif plain:
            text.append(plain if component == OF_NO_SECRETS else redact(plain))
    yield from _of_text(component, text)


def _json(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and ("message" in record or "event" in record) else None


def _of_record(component: str, record: dict[str, Any]) -> Message:
    """From `{"time", "level", "logger", "message", "error", ...}`, or Dagster's `{"timestamp", "event", ...}`."""
    said = redact(str(record.pop("message", None) or record.pop("event", ""))).strip()
    text, _newline, more = said.partition("\n")
    error = redact(str(record.pop("error", None) or record.pop("exception", None) or ""))
    exception = record.pop("exc_info", None)
    if _TRACEBACK in more + error:
        text = f"{text.rstrip(':')}: {_reason(more + error)}"
    elif isinstance(exception, list) and len(exception) > 1:
        # Dagster's JSON has the exception as it would be written in Python, without its traceback.
        text = f"{text}: {redact(str(exception[1])).partition(chr(92) + 'n')[0]}"
    return Message(
        component,
        _level(str(record.pop("level", "info"))),
        text,
        "\n".join(part for part in (more, error) if part),
        str(record.pop("logger", "")),
        _time(str(record.pop("time", None) or record.pop("timestamp", ""))),
        {name: redact(value) if isinstance(value, str) else value for name, value in record.items()},
    )


def _of_text(component: str, lines: list[str]) -> Iterator[Message]:
    if lines and (head := _HEAD.match(lines[0])):
        yield from _of_dagster(component, head["level"].lower(), head["rest"], lines[1:])
        return
    at = next((number for number, line in enumerate(lines) if line.endswith(_TRACEBACK)), len(lines))
    for line in lines[:at]:
        yield Message(component, "info", line)
    if lines[at:]:
        traceback = "\n".join(lines[at:])
        yield Message(component, "error", _reason(traceback), traceback)


def _of_dagster(component: str, level: str, said: str, below: list[str]) -> Iterator[Message]:
    """What happened in a run, or in a sensor's look."""
    fields: dict[str, Any] = {}
    if of_run := _OF_RUN.match(said):
        component, said, fields = "run", of_run["said"], {"run_id": of_run["run"]}
    if event := _EVENT.match(said):
        said, fields["event"] = event["said"], event["type"]
        if "Steps failed: [" in said:
            return
        # Our own sentence stands below, behind the name of an exception's class.
        reasons = [found["said"] or found[0] for line in below if (found := _REASON.match(line))]
        if reasons:
            said = reasons[0] if event["type"] == "STEP_FAILURE" else f"{said} {reasons[0]}"
    else:
        # Behind the step's name, or the sensor's, which is not known otherwise.
        who, dash, what = said.removeprefix("__repository__ - ").partition(" - ")
        if dash:
            said = what if fields else f"{who}: {what}"
    yield Message(component, level, said, "\n".join(below), fields=fields)


def _reason(traceback: str) -> str:
    """What the last exception of a traceback says, on one line."""
    last = traceback.rpartition(_TRACEBACK)[2].splitlines()
    return next((line.strip() for line in last if line and not line[0].isspace()), "a traceback without an exception")


def _level(name: str) -> str:
    return name.lower() if name.lower() in LEVELS else "info"


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.now(UTC)
