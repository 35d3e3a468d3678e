"""One attempt to send one message to one channel."""

import json
from typing import Any

from cyphera_pipelines.alerts.addresses import AddressPolicy, SendError
from cyphera_pipelines.alerts.messages import text_of
from cyphera_pipelines.alerts.services import register_secrets_of, send_to_service, with_recipient
from cyphera_pipelines.alerts.signed_webhook import WebhookAddress, send_webhook
from cyphera_pipelines.model.alert_channels import ChannelKind, MessageKind
from cyphera_pipelines.security.encryption import ChannelBinding, Keyring
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.alert_deliveries import Claim


def send(keyring: Keyring, settings: Settings, claim: Claim, message: dict[str, Any]) -> None:
    """Send it. Raises SendError, and DecryptionError where the channel's address does not open."""
    binding = ChannelBinding(claim.channel_id, claim.workspace_id)
    opened = json.loads(keyring.decrypt(claim.envelope, binding))
    url: str = opened["url"]
    kind = MessageKind(message["kind"])
    match claim.kind:
        case ChannelKind.WEBHOOK:
            register_secrets_of(url)
            register_secret(opened["secret"])
            policy = AddressPolicy(claim.workspace_id is None or settings.alerts_to_private_addresses)
            send_webhook(WebhookAddress(url, opened["secret"]), message, policy)
        case ChannelKind.EMAIL:
            if settings.alert_mail_url is None:
                raise SendError("This deployment sends no e-mail any more: CYPHERA_ALERT_MAIL_URL is not set.")
            server = settings.alert_mail_url.get_secret_value()
            send_to_service(with_recipient(server, url), kind, text_of(message))
        case ChannelKind.SLACK | ChannelKind.APPRISE:
            send_to_service(url, kind, text_of(message))
