"""Where channels may lead to, who may name what, and that none of it is shown."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from apprise import Apprise
from sqlalchemy import text

from cyphera_pipelines.alerts.addresses import is_public
from cyphera_pipelines.alerts.channels import Wanted, add
from cyphera_pipelines.alerts.delivering import send_test
from cyphera_pipelines.alerts.messages import Writer
from cyphera_pipelines.alerts.services import HOSTED, SELF_HOSTED, opens
from cyphera_pipelines.model.alert_channels import ChannelKind, DeliveryState
from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import EncryptionKey, Keyring
from cyphera_pipelines.store.alert_channels import find_channel, list_channels, remove_channel
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.stored_values import CHANNEL_ADDRESSES, reencrypt_values
from cyphera_pipelines_tests.alerts.conftest import Watch, channel_row
from cyphera_pipelines_tests.receiver import Receiver


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104
        *("::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "::"),
        *("2002:7f00:1::", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "fe80::1%eth0", "ff02::1"),
    ],
)
def test_addresses_that_are_nobody_s_on_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *("http://alerts.example.com/x", "https://127.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/latest"),
        *(
            "https://localhost/x",
            "https://metadata.internal/x",
            "https://user:pw@alerts.example.com/x",
            "ftp://a.example",
        ),
        *("https://", "https://a.example.com:99999/", "https://a.example.com/#x", "https://a.example.com/ x", ""),
    ],
)
def test_a_workspace_may_not_name_these(url: str, watch: Watch, add_source: Callable[..., Source]) -> None:
    source = add_source("sk_test_alerts_ssrf")
    with pytest.raises(InvalidInputError):
        add(
            watch.database,
            watch.keyring,
            watch.settings,
            source.workspace_id,
            Wanted("inside", ChannelKind.WEBHOOK, url),
        )
    assert list_channels(watch.database, source.workspace_id) == []


def test_a_name_is_judged_by_what_it_stands_for_when_something_is_sent(
    watch: Watch, receiver: Receiver, add_source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = add_source("sk_test_alerts_rebinding")
    port = int(receiver.url.rpartition(":")[2])
    wanted = Wanted("inside", ChannelKind.WEBHOOK, f"https://alerts.example.com:{port}/x")
    added = add(watch.database, watch.keyring, watch.settings, source.workspace_id, wanted)
    answers: list[str] = []
    genuine = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **named: Any) -> Any:
        if host != "alerts.example.com":
            return genuine(host, *arguments, **named)
        answers.append("127.0.0.1")
        return genuine("127.0.0.1", *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    done = send_test(watch.database, watch.keyring, watch.settings, Writer(), added.channel)
    assert answers, "the name was looked up"
    assert done.state is DeliveryState.GIVEN_UP
    assert "a workspace's channel may not reach" in str(done.last_error)
    assert receiver.received == []


@pytest.mark.parametrize("scheme", ["exec", "syslog", "dbus", "file", "rsyslog", "smpp", "amqp", "mqtt", "windows", ""])
@pytest.mark.parametrize("is_of_workspace", [True, False])
def test_schemes_that_are_in_no_list_are_refused(
    scheme: str, is_of_workspace: bool, watch: Watch, add_source: Callable[..., Source]
) -> None:
    whose = add_source("sk_test_alerts_schemes").workspace_id if is_of_workspace else None
    wanted = Wanted("odd", ChannelKind.APPRISE, f"{scheme}://localhost/x" if scheme else "no-scheme-4711")
    with pytest.raises(InvalidInputError, match="No alerts are sent to addresses"):
        add(watch.database, watch.keyring, watch.settings, whose, wanted)


def test_a_workspace_may_name_no_host_and_no_options_to_a_service(
    watch: Watch, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_alerts_services")
    discord = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
    for address in (*(f"{each}://127.0.0.1:25/x" for each in SELF_HOSTED), f"{discord}?template=/etc/passwd"):
        with pytest.raises(InvalidInputError):
            add(
                watch.database,
                watch.keyring,
                watch.settings,
                source.workspace_id,
                Wanted("odd", ChannelKind.APPRISE, address),
            )
    added = add(
        watch.database,
        watch.keyring,
        watch.settings,
        source.workspace_id,
        Wanted("chat", ChannelKind.APPRISE, discord),
    )
    assert added.channel.address_shown == "discord://..."


def test_every_scheme_of_the_lists_is_one_that_the_library_knows() -> None:
    known = {
        scheme
        for service in Apprise().details()["schemas"]
        for scheme in (*(service["protocols"] or ()), *(service["secure_protocols"] or ()))
    }
    assert known >= HOSTED | SELF_HOSTED
    assert opens("nonsense://x") is None


def test_addresses_are_kept_encrypted_and_a_new_key_takes_them_over(
    database: Database, watch: Watch, receiver: Receiver
) -> None:
    channel, secret = watch.channel(f"{receiver.url}/planted-in-a-path")
    with database.control() as connection:
        found = connection.execute(
            text("SELECT string_agg(c::text, '') FROM sync.alert_channels AS c WHERE id = :id"), {"id": channel.id}
        ).scalar_one()
    for planted in (secret, "planted-in-a-path"):
        assert planted not in found
    newer = Keyring(EncryptionKey.generate(), (watch.keyring.newest().current,))
    before = channel_row(database, channel.id).address
    try:
        assert reencrypt_values(database, newer, CHANNEL_ADDRESSES).reencrypted >= 1
        assert f".{newer.current.key_id}." in channel_row(database, channel.id).address
        assert reencrypt_values(database, newer, CHANNEL_ADDRESSES).reencrypted == 0
        assert send_test(database, newer, watch.settings, Writer(), channel).state is DeliveryState.DELIVERED
    finally:
        # The other tests' keys open it again.
        former = Keyring(watch.keyring.newest().current, (newer.current,))
        reencrypt_values(database, former, CHANNEL_ADDRESSES)
    assert channel_row(database, channel.id).address != before


def test_another_workspace_s_channel_is_as_unknown_as_any(watch: Watch, add_source: Callable[..., Source]) -> None:
    one, other = add_source("sk_test_alerts_one"), add_source("sk_test_alerts_other")
    channel, _secret = watch.channel("https://alerts.example.com/x", of=one)
    of_deployment, _secret = watch.channel("https://alerts.example.com/y", only=[one])
    for hidden in (channel, of_deployment):
        for act in (find_channel, remove_channel):
            with pytest.raises(NotFoundError):
                act(watch.database, other.workspace_id, hidden.id)
    assert list_channels(watch.database, other.workspace_id) == []
    assert list_channels(watch.database, one.workspace_id) == [channel]
