"""What is sent: the facts as JSON, which a signed webhook gets as it is, and the text that people read made of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from cyphera_pipelines.model.alert_channels import MessageKind
from cyphera_pipelines.model.alerts import (
    NAMED_IN_A_DIGEST,
    REMEDY_OF_MANY,
    Alert,
    AlertCause,
    EndedBecause,
    all_clear_of_many,
    sentence_of_many,
)
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.alert_announcements import Audience

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Writer:
    """Writes messages. `ops_url` is where people find the operations page, as in `https://pipelines.example.com`."""

    ops_url: str | None = None

    def alert(self, delivery_id: UUID, alert: Alert, *, to_workspace: bool = False) -> dict[str, Any]:
        """That something is wrong with one source, to the deployment's people or the workspace's own."""
        remedy = alert.remedy_of_workspace if to_workspace else alert.remedy
        message = _message(delivery_id, MessageKind.ALERT, alert.sentence, remedy)
        return _titled({**message, "alert": self._facts(alert)})

    def all_clear(self, delivery_id: UUID, alert: Alert) -> dict[str, Any]:
        """That it is no longer."""
        message = _message(delivery_id, MessageKind.ALL_CLEAR, alert.all_clear, None)
        return _titled({**message, "alert": self._facts(alert)})

    def digest(
        self, delivery_id: UUID, audience: Audience, sources: Sequence[str], alerts: Sequence[Alert]
    ) -> dict[str, Any]:
        """That the same is wrong with all of these sources. `alerts` are those that are new, of which there is one."""
        cause, began_at = AlertCause(audience.cause), min(alert.began_at for alert in alerts)
        remedy = REMEDY_OF_MANY[cause] if audience.workspace_id is None else alerts[0].remedy_of_workspace
        sentence = sentence_of_many(cause, audience.provider, len(sources))
        message = _message(delivery_id, MessageKind.DIGEST, sentence, remedy)
        return _titled({**message, "digest": self._facts_of_many(audience, sources, began_at)})

    def digest_all_clear(self, delivery_id: UUID, audience: Audience, alerts: Sequence[Alert]) -> dict[str, Any]:
        """That nothing is wrong any more with any of those that one message told of."""
        removed = sum(alert.ended_because is EndedBecause.REMOVED for alert in alerts)
        cause, sources = AlertCause(audience.cause), sorted({alert.source for alert in alerts})
        sentence = all_clear_of_many(cause, audience.provider, len(alerts) - removed, removed)
        message = _message(delivery_id, MessageKind.DIGEST_ALL_CLEAR, sentence, None)
        began_at = min(alert.began_at for alert in alerts)
        return _titled({**message, "digest": self._facts_of_many(audience, sources, began_at)})

    def test(self, delivery_id: UUID, channel_name: str) -> dict[str, Any]:
        """That the channel works."""
        sentence = f"This is a test of the channel {one_line(channel_name)}: nothing is wrong."
        return _titled(_message(delivery_id, MessageKind.TEST, sentence, None))

    def _facts(self, alert: Alert) -> dict[str, Any]:
        return {
            "id": str(alert.id),
            "workspace": alert.workspace_slug,
            "provider": alert.provider_name,
            "source": alert.source,
            "cause": alert.cause.value,
            "error_code": alert.error_code,
            "since": _moment(alert.began_at),
            "ended_at": None if alert.ended_at is None else _moment(alert.ended_at),
            "ended_because": None if alert.ended_because is None else alert.ended_because.value,
            "url": self._url(f"/ops/sources/{quote(alert.workspace_slug)}/{quote(alert.provider_name)}"),
        }

    def _facts_of_many(self, audience: Audience, sources: Sequence[str], began_at: datetime) -> dict[str, Any]:
        return {
            "provider": audience.provider,
            "cause": audience.cause,
            "sources": len(sources),
            "named": list(sources[:NAMED_IN_A_DIGEST]),
            "since": _moment(began_at),
            "url": self._url("/ops/alerts"),
        }

    def _url(self, path: str) -> str | None:
        return None if self.ops_url is None else f"{self.ops_url}{path}"


@dataclass(frozen=True)
class Text:
    """A message for people. Neither has a line break that is not ours, or a character that is a command to a program.

    The title is one line.
    """

    title: str
    body: str


def text_of(message: dict[str, Any]) -> Text:
    """The message for people."""
    facts = message.get("alert") or message.get("digest") or {}
    lines = [one_line(message["sentence"])]
    if message.get("remedy"):
        lines.append(f"What to do: {one_line(message['remedy'])}")
    named = facts.get("named", [])
    if named:
        others = facts["sources"] - len(named)
        lines.append(f"Sources: {', '.join(map(one_line, named))}{f' and {others:,} more' if others else ''}")
    if facts.get("since"):
        lines.append(f"Since: {facts['since']}")
    if facts.get("error_code"):
        lines.append(f"Error code: {one_line(facts['error_code'])}")
    if facts.get("url"):
        lines.append(one_line(facts["url"]))
    return Text(one_line(message["title"]), "\n".join(lines))


def one_line(text: str) -> str:
    """The text without line breaks and control characters: names and errors are set by strangers."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


_TITLES = {
    MessageKind.ALERT: "{source}: {cause}",
    MessageKind.ALL_CLEAR: "{source}: all clear ({cause})",
    MessageKind.DIGEST: "{sources} sources of {provider}: {cause}",
    MessageKind.DIGEST_ALL_CLEAR: "{sources} sources of {provider}: all clear ({cause})",
    MessageKind.TEST: "Test of a channel",
}


def _titled(message: dict[str, Any]) -> dict[str, Any]:
    facts = message.get("alert") or message.get("digest") or {}
    cause = str(facts.get("cause", "")).replace("_", " ")
    title = _TITLES[MessageKind(message["kind"])].format(**{**facts, "cause": cause})
    return {**message, "title": one_line(title)}


def _message(delivery_id: UUID, kind: MessageKind, sentence: str, remedy: str | None) -> dict[str, Any]:
    return {
        "id": str(delivery_id),
        "kind": kind.value,
        "title": "",
        "written_at": _moment(datetime.now(UTC)),
        "sentence": redact(sentence),
        "remedy": remedy,
        "alert": None,
        "digest": None,
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
