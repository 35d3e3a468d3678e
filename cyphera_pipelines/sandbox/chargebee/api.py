"""The part of the server that a client takes for Chargebee: everything under `/api/v2`."""

import base64
import binascii
from dataclasses import dataclass

from starlette.types import Scope

from cyphera_pipelines.sandbox.behaviour import Behaviour
from cyphera_pipelines.sandbox.chargebee.answers import answer
from cyphera_pipelines.sandbox.chargebee.dataset import SiteDataset
from cyphera_pipelines.sandbox.chargebee.endpoints import ROOT, Endpoint, find_endpoint
from cyphera_pipelines.sandbox.chargebee.errors import (
    ChargebeeError,
    internal_error,
    no_such_path,
    not_authenticated,
    not_authorized,
    read_only_site,
    too_many_requests,
    wrong_catalog,
    wrong_method,
)
from cyphera_pipelines.sandbox.chargebee.hosted import ChargebeeSites
from cyphera_pipelines.sandbox.chargebee.resources import RESOURCES
from cyphera_pipelines.sandbox.chargebee.writes.idempotency import HEADER as IDEMPOTENCY_KEY
from cyphera_pipelines.sandbox.chargebee.writes.idempotency import REPLAYED
from cyphera_pipelines.sandbox.chargebee.writes.requests import answer_write
from cyphera_pipelines.sandbox.limits import LimitReason
from cyphera_pipelines.sandbox.options import Fault, FaultKind
from cyphera_pipelines.sandbox.provider_api import Call, ProviderApi, Reply, header_of
from cyphera_pipelines.sandbox.serialization import to_bytes

SCHEMA_HEADER = b"chargebee-response-schema-type"
_HOSTS = (".localhost", ".chargebee.com")


@dataclass(slots=True)
class ChargebeeCall(Call):
    """A request as Chargebee reads it: its endpoint, its key, the site that it opens, or why it opens none."""

    endpoint: Endpoint | None
    api_key: str | None
    dataset: SiteDataset | None
    refusal: ChargebeeError | None


class ChargebeeApi(ProviderApi[ChargebeeCall]):
    """An ASGI application."""

    def __init__(self, behaviour: Behaviour, sites: ChargebeeSites) -> None:
        super().__init__(behaviour)
        self._sites = sites

    def read(self, scope: Scope) -> ChargebeeCall:
        """See `ProviderApi`."""
        endpoint = find_endpoint(scope["method"], scope.get("raw_path") or scope["path"].encode())
        api_key, dataset, refusal = api_key_of(scope), None, None
        try:
            dataset = self._sites.opened(api_key, site_of(scope))
        except ChargebeeError as error:
            refusal = error
        site = None if dataset is None else dataset.account.site
        return ChargebeeCall(
            scope=scope,
            template=f"{scope['method']} {ROOT}{endpoint.template.partition(' ')[2]}" if endpoint else "(unknown)",
            account_id=site,
            limited_as=None if site is None else f"chargebee/{site}",
            has_body=scope["method"] == "POST",
            endpoint=endpoint,
            api_key=api_key,
            dataset=dataset,
            refusal=refusal,
        )

    def reply(self, call: ChargebeeCall, sent: bytes, fault: Fault | None, broken: LimitReason | None) -> Reply:
        """See `ProviderApi`."""
        headers = {
            "Content-Type": "application/json;charset=utf-8",
            "Cache-Control": "no-store, no-cache, must-revalidate",
            "X-Request-Id": f"{self._random.getrandbits(64):016x}",
        }
        try:
            if call.refusal is not None or call.dataset is None:
                raise call.refusal or not_authenticated()
            if broken is not None:
                raise too_many_requests(self._behaviour.options.retry_after)
            endpoint = _admitted(call, call.dataset, fault)
            if not endpoint.is_write:
                if endpoint.method != "GET":
                    raise wrong_method(endpoint.method)
                return Reply(200, headers, answer(call.dataset, endpoint, call.query_string))
            answered = answer_write(call.dataset, endpoint, sent, header_of(call.scope, IDEMPOTENCY_KEY))
            if fault is not None and fault.kind is FaultKind.ERROR_500_DONE:
                raise internal_error()
            if answered.is_replay:
                headers[REPLAYED] = "true"
            return Reply(answered.status, headers, answered.body)
        except ChargebeeError as error:
            return Reply(error.status, headers | error.headers, to_bytes(error.body()))


def _admitted(call: ChargebeeCall, dataset: SiteDataset, fault: Fault | None) -> Endpoint:
    """Return the endpoint of a request that may be carried out. Raises ChargebeeError for any other."""
    kind, endpoint = None if fault is None else fault.kind, call.endpoint
    if kind is FaultKind.UNAUTHORIZED:
        raise not_authenticated()
    if endpoint is None:
        raise no_such_path()
    if fault is not None and kind is FaultKind.RATE_LIMIT:
        raise too_many_requests(fault.retry_after)
    if kind is FaultKind.ERROR_500 or (kind is FaultKind.ERROR_500_DONE and not endpoint.is_write):
        raise internal_error()
    if kind is FaultKind.READ_ONLY:
        raise read_only_site()
    if kind is FaultKind.FORBIDDEN or _lacks(call.api_key or "", dataset, endpoint):
        raise not_authorized()
    _check_catalog(call.scope, dataset, endpoint)
    return endpoint


def _lacks(api_key: str, dataset: SiteDataset, endpoint: Endpoint) -> bool:
    site = dataset.account
    if api_key in site.read_only_keys and endpoint.is_write:
        return True
    return endpoint.resource in site.restricted_keys.get(api_key, frozenset())


def _check_catalog(scope: Scope, dataset: SiteDataset, endpoint: Endpoint) -> None:
    """Refuse items to a site of plans and addons; to one that has both, whoever does not say that items are meant."""
    catalog = dataset.account.catalog
    if endpoint.resource == "configurations" or catalog == "v2":
        return
    if catalog == "mixed" and header_of(scope, SCHEMA_HEADER) == "items":
        return
    resource = RESOURCES.get(endpoint.resource)
    if (resource is not None and resource.needs_items) or catalog == "mixed":
        raise wrong_catalog()


def api_key_of(scope: Scope) -> str | None:
    """Return the key that a request carries: the user name of Basic auth, with an empty password."""
    scheme, _, credentials = (header_of(scope, b"authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return key if key and not password else None


def site_of(scope: Scope) -> str | None:
    """Return the site that a request names in its host, as in `acme-test.localhost`; None where it names none."""
    host = (header_of(scope, b"host") or "").rpartition(":")[0] or (header_of(scope, b"host") or "")
    return next((host.removesuffix(end) for end in _HOSTS if host.endswith(end) and host != end), None)
