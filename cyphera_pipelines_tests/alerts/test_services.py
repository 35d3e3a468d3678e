"""E-mail and Slack over real connections, and strings that were made to do harm there."""

import email.policy
import socket
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from apprise.plugins.slack import NotifySlack
from pydantic import SecretStr

from cyphera_pipelines.alerts.delivering import send_test
from cyphera_pipelines.alerts.messages import Writer, one_line, text_of
from cyphera_pipelines.model.alert_channels import ChannelKind, DeliveryState
from cyphera_pipelines.model.alerts import Alert, AlertCause
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.secrets import RedactingFilter
from cyphera_pipelines.store.alert_channels import find_channel
from cyphera_pipelines.store.alert_deliveries import list_deliveries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.alerts.conftest import Watch, fail
from cyphera_pipelines_tests.receiver import Receiver
from cyphera_pipelines_tests.store.test_schedules import now_of

Sources = Callable[[int], list[Source]]
HOSTILE = (
    "Bad\r\nBcc: everybody@example.com\r\n\r\n<!channel> <https://evil.example|click> \u202egnp.exe @everyone *x* `y`"
)


class Mailbox:
    """What the mail server was given."""

    def __init__(self) -> None:
        self.received: list[tuple[list[str], EmailMessage]] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        message: Any = message_from_bytes(envelope.content, policy=email.policy.default)
        self.received.append((envelope.rcpt_tos, message))
        return "250 OK"


@pytest.fixture
def mail_server() -> Iterator[tuple[str, Mailbox]]:
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        class AtThatPort(Controller):
            def _create_server(self) -> Any:
                return self.loop.create_server(self._factory_invoker, sock=listening)

        controller = AtThatPort(mailbox, hostname="127.0.0.1", port=port, ready_timeout=60)
        controller.start()
        try:
            yield f"mailto://127.0.0.1:{port}?from=alerts@example.com", mailbox
        finally:
            controller.stop()


def test_an_e_mail_has_one_recipient_and_the_headers_that_we_gave_it(
    database: Database, watch: Watch, sources: Sources, mail_server: tuple[str, Mailbox]
) -> None:
    server, mailbox = mail_server
    (source,) = sources(1)
    url = SecretStr(server)
    watch.channel("jane@example.com", only=[source], kind=ChannelKind.EMAIL, alert_mail_url=url)
    fail(database, source, message=HOSTILE)
    watch.look(alert_mail_url=url)
    ((recipients, message),) = mailbox.received
    assert recipients == ["jane@example.com"]
    assert message["Subject"] == f"{source.key}: failed"
    assert (message["To"], message["Bcc"], message["Cc"]) == ("jane@example.com", None, None)
    body = message.get_body()
    assert body is not None
    content = body.get_content()
    assert "Try the connection: cyphera source test" in content
    assert "Bad Bcc: everybody@example.com" in content, "it is text, in a line of ours"
    assert "\u202e" not in content


@pytest.mark.parametrize(
    "address",
    [
        "jane@example.com,john@example.com",
        "jane@example.com\nBcc: x@example.com",
        "jane",
        "jane@a.example?bcc=x@b.example",
    ],
)
def test_what_is_no_single_address_is_refused(address: str, watch: Watch) -> None:
    with pytest.raises(InvalidInputError):
        watch.channel(address, kind=ChannelKind.EMAIL, alert_mail_url=SecretStr("mailto://127.0.0.1:1"))


def test_without_a_mail_server_nobody_is_promised_e_mail(watch: Watch) -> None:
    with pytest.raises(InvalidInputError, match="CYPHERA_ALERT_MAIL_URL"):
        watch.channel("jane@example.com", kind=ChannelKind.EMAIL)


def test_in_slack_nothing_of_a_stranger_s_is_a_command(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{receiver.url}/services")
    (source,) = sources(1)
    token = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    channel, _secret = watch.channel(f"https://hooks.slack.com/services/{token}", only=[source], kind=ChannelKind.SLACK)
    fail(database, source, message=HOSTILE)
    watch.look()
    (received,) = receiver.received
    assert received.path == f"/services/{token}"
    said = received.body.decode()
    assert "<!channel>" not in said
    assert "&lt;!channel&gt;" in said
    assert "<https://evil" not in said
    assert "A1BRTD4JD" not in find_channel(database, None, channel.id).address_shown


def test_a_service_s_failure_is_told_without_its_address(
    database: Database,
    watch: Watch,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{receiver.url}/services")
    receiver.answer = lambda _received: 404
    token = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdeviPLANTED"
    channel, _secret = watch.channel(f"https://hooks.slack.com/services/{token}", kind=ChannelKind.SLACK)
    # As every program of ours sets up its logs.
    caplog.handler.addFilter(RedactingFilter())
    with caplog.at_level("DEBUG"):
        done = send_test(database, watch.keyring, watch.settings, Writer(), channel)
    assert done.state is DeliveryState.GIVEN_UP
    assert str(done.last_error).startswith("The service did not take it: ")
    (kept,) = list_deliveries(database, None, channel_id=channel.id)
    assert "PLANTED" not in f"{kept} {caplog.text}"


def test_a_title_is_one_line_whatever_the_names(database: Database) -> None:
    now = now_of(database)
    alert = Alert(
        uuid4(), uuid4(), "acme", HOSTILE, AlertCause.FAILED, HOSTILE, 1, HOSTILE, now, now, None, None, None, False
    )
    text = text_of(Writer("https://ops.example.com").alert(uuid4(), alert))
    assert "\n" not in text.title
    assert "\r" not in text.title + text.body
    assert text.body.count("\n") == 4, "a sentence, what to do, since when, the code and a link"
    assert one_line("a\u2028b\x00c\x1b[31m") == "a b c [31m"
