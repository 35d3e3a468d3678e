"""Which endpoint a path belongs to. Limits and counters go by the endpoint, not by the path."""

from dataclasses import dataclass
from urllib.parse import unquote

from cyphera_pipelines.sandbox.chargebee.resources import RESOURCES

ROOT = "/api/v2"
READ_ACTIONS = {("subscriptions", "discounts"), ("subscriptions", "retrieve_with_scheduled_changes")}
"""What a GET below an object asks for."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a request is for: a resource's list, one object, or something that is done with it.

    `template` is as `GET /invoices/:id`, `resource` the resource's path, `action` what comes after the id.
    """

    template: str
    method: str
    resource: str
    object_id: str | None = None
    action: str | None = None

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.method == "POST"


def find_endpoint(method: str, raw_path: bytes) -> Endpoint | None:
    """Return the endpoint of a request, None if there is none. The path comes as it was sent: ids may hold slashes."""
    path = raw_path.decode("latin-1").partition("?")[0]
    if not path.startswith(f"{ROOT}/"):
        return None
    parts = [unquote(part) for part in path.removeprefix(f"{ROOT}/").split("/")]
    if parts == ["configurations"]:
        return Endpoint(f"{method} /configurations", method, "configurations")
    if parts[0] not in RESOURCES or not all(parts) or len(parts) > 3:
        return None
    resource, object_id, action = (*parts, None, None)[:3]
    if resource == "invoices" and object_id == "create_for_charge_items_and_charges":
        object_id, action = None, object_id
    if resource == "payment_sources" and object_id in ("create_card", "create_using_token", "create_bank_account"):
        object_id, action = None, object_id
    shape = "".join((f"/{resource}", "/:id" if object_id else "", f"/{action}" if action else ""))
    return Endpoint(f"{method} {shape}", method, str(resource), object_id, action)
