"""Bank accounts and cards at Stripe: of accounts, which are paid out to, and of customers, which are charged."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    ExternalAccount,
    ExternalAccountRequest,
    ExternalAccountType,
    ListPage,
    ListParameters,
    NewExternalAccount,
    ObjectKind,
    Operation,
    PreparedWrite,
    Told,
)
from cyphera_pipelines.providers.stripe.operations.listing import Reader, check, checked_id, path_of
from cyphera_pipelines.providers.stripe.operations.mark import checked_metadata, marked
from cyphera_pipelines.providers.stripe.operations.notes import (
    Note,
    by_absence,
    by_mark,
    by_state,
    one_of,
    told,
)
from cyphera_pipelines.providers.stripe.operations.objects.external_accounts import to_external_account
from cyphera_pipelines.providers.stripe.paging import Paging, entries_of
from cyphera_pipelines.providers.stripe.values import reference

_KIND = ObjectKind.EXTERNAL_ACCOUNTS
_METHOD = "pm_"
_DEFAULT_METHOD, _DEFAULT_SOURCE = reference("invoice_settings", "default_payment_method"), reference("default_source")


class StripeExternalAccounts:
    """See `ExternalAccountOperations`.

    `own_account_id` is the account that the credentials are used for, as far as they tell. Of a customer, both payment
    methods and bank accounts given by their number are there.
    """

    def __init__(self, reader: Reader, own_account_id: str | None) -> None:
        self._reader = reader
        self._own_account_id = own_account_id

    def create_external_account(self, request: NewExternalAccount) -> PreparedWrite:
        """See `ExternalAccountOperations`. A token of a customer is a payment method's (pm_...) or a bank account's."""
        metadata = checked_metadata(request.metadata)
        if request.type is not ExternalAccountType.PAYMENT_METHOD:
            path = path_of("accounts", self._account(request.owner_id), "external_accounts")
            return self._made(path, "external_account", request)
        if request.owner_id is None:
            raise InvalidInputError("A payment method belongs to a customer: give its id as owner_id.")
        if request.token is None or not request.token.startswith(_METHOD):
            return self._made(path_of("customers", checked_id(request.owner_id), "sources"), "source", request)
        if metadata or request.account_holder_name is not None:
            raise InvalidInputError(
                "A payment method that is there already keeps its name and metadata: update it then."
            )
        method = path_of("payment_methods", checked_id(request.token))
        note = by_state(method, [one_of(request.owner_id, at=["customer"])], ["payment_method.attached"])
        parameters: dict[str, Any] = {"customer": request.owner_id}
        return PreparedWrite(_KIND, Operation.CREATE, None, "POST", f"{method}/attach", parameters, finding=note)

    def get_external_account(self, account_id: str, owner_id: str | None) -> Told[ExternalAccount]:
        """See `ExternalAccountOperations`."""
        default_id = None
        if owner_id is not None and _is_customer(owner_id):
            default_id = self._default_of(owner_id)
        return self._reader.one_at(
            self._path(account_id, owner_id),
            _KIND.value,
            account_id,
            lambda obj: to_external_account(obj, owner_id, default_id),
        )

    def update_external_account(
        self, account_id: str, owner_id: str | None, request: ExternalAccountRequest
    ) -> PreparedWrite:
        """See `ExternalAccountOperations`."""
        is_method, parameters = account_id.startswith(_METHOD), dict[str, Any]()
        if request.account_holder_name is not None:
            name = {"name": request.account_holder_name}
            if is_method:
                parameters["billing_details"] = name
            else:
                parameters |= name if account_id.startswith("card_") else {"account_holder_name": name["name"]}
        if request.metadata is not None:
            parameters["metadata"] = checked_metadata(request.metadata)
        # Payment methods are changed where they are, not beneath their customer.
        path = path_of("payment_methods", account_id) if is_method else self._path(account_id, owner_id)
        note = by_state(path, told(parameters), _updates(is_method, owner_id))
        return PreparedWrite(_KIND, Operation.UPDATE, account_id, "POST", path, parameters, finding=note)

    def delete_external_account(self, account_id: str, owner_id: str | None) -> PreparedWrite:
        """See `ExternalAccountOperations`. A payment method is detached from its customer, for ever."""
        path, operation = self._path(account_id, owner_id), Operation.DELETE
        if not account_id.startswith(_METHOD):
            return PreparedWrite(_KIND, operation, account_id, "DELETE", path, finding=by_absence(path))
        method = path_of("payment_methods", account_id)
        note = by_state(method, [one_of(None, at=["customer"])], ["payment_method.detached"])
        return PreparedWrite(_KIND, operation, account_id, "POST", f"{method}/detach", finding=note)

    def list_external_accounts(self, parameters: ListParameters, owner_id: str | None) -> ListPage[ExternalAccount]:
        """See `ExternalAccountOperations`. They are few, and read all at once: Stripe's own lists do not go by time."""
        check(parameters)
        if parameters.filters or parameters.created_after or parameters.created_before:
            raise InvalidInputError("External accounts can be listed by limit, cursors and ids only.")
        default_id = None
        if owner_id is not None and _is_customer(owner_id):
            default_id = self._default_of(owner_id)
            methods = self._all(path_of("customers", owner_id, "payment_methods"), {})
            banks = self._all(path_of("customers", owner_id, "sources"), {"object": "bank_account"})
            entries = chain(methods, banks)
        else:
            entries = chain(self._all(path_of("accounts", self._account(owner_id), "external_accounts"), {}))
        found = [to_external_account(entry, owner_id or self._own_account_id, default_id) for entry in entries]
        return _page(found, parameters)

    def set_default_external_account(self, account_id: str, owner_id: str | None) -> PreparedWrite:
        """See `ExternalAccountOperations`."""
        path, operation = self._path(account_id, owner_id), Operation.SET_DEFAULT
        if owner_id is None or not _is_customer(owner_id):
            parameters: dict[str, Any] = {"default_for_currency": True}
            note = by_state(path, told(parameters), _updates(False, owner_id))
            return PreparedWrite(_KIND, operation, account_id, "POST", path, parameters, finding=note)
        customer = path_of("customers", owner_id)
        if account_id.startswith(_METHOD):
            parameters = {"invoice_settings": {"default_payment_method": account_id}}
        else:
            parameters = {"default_source": account_id}
        note = by_state(customer, told(parameters), ["customer.updated"])
        note["shows"] = path
        return PreparedWrite(_KIND, operation, account_id, "POST", customer, parameters, finding=note)

    def _made(self, path: str, name: str, request: NewExternalAccount) -> PreparedWrite:
        """A bank account or card by its token or, for bank accounts, by its number."""
        if request.token is not None:
            account: Any = request.token
            secret: tuple[str, ...] = (name,)
        else:
            if not (request.account_number and request.country and request.currency):
                raise InvalidInputError("Give a token, or an account_number with country and currency.")
            named = {
                "object": "bank_account",
                "country": request.country,
                "currency": request.currency.lower(),
                "account_holder_name": request.account_holder_name,
                "account_number": request.account_number,
                "routing_number": request.routing_number,
            }
            account = {key: value for key, value in named.items() if value is not None}
            secret = (f"{name}.account_number", f"{name}.routing_number")
        parameters: dict[str, Any] = {name: account, "metadata": marked(request.metadata)}
        note: Note = by_mark(path, is_dated=False)
        return PreparedWrite(_KIND, Operation.CREATE, None, "POST", path, parameters, secret, note)

    def _path(self, account_id: str, owner_id: str | None) -> str:
        checked_id(account_id)
        if account_id.startswith(_METHOD):
            return path_of("payment_methods", account_id)
        if owner_id is not None and _is_customer(owner_id):
            return path_of("customers", owner_id, "sources", account_id)
        return path_of("accounts", self._account(owner_id), "external_accounts", account_id)

    def _account(self, owner_id: str | None) -> str:
        account_id = owner_id or self._own_account_id
        if account_id is None:
            raise InvalidInputError(
                "Which account's external accounts these are is not known: give the account as owner_id, as acct_..., "
                "or the customer, as cus_..."
            )
        return checked_id(account_id)

    def _default_of(self, customer_id: str) -> str | None:
        customer = self._reader.raw(
            path_of("customers", checked_id(customer_id)),
            {},
            f"reading {customer_id} of customers",
            endpoint="one of customers",
        )
        default_id = _DEFAULT_METHOD(customer) or _DEFAULT_SOURCE(customer)
        return default_id if isinstance(default_id, str) else ""

    def _all(self, path: str, parameters: dict[str, Any]) -> Iterator[Any]:
        operation, cursor = "listing external accounts", None
        paging = Paging(operation, is_short=True)
        while True:
            asked = {**parameters, "limit": 100} | ({} if cursor is None else {"starting_after": cursor})
            answer = self._reader.raw(path, asked, operation, endpoint="external accounts")
            entries = entries_of(answer, operation)
            yield from entries
            cursor = paging.following(answer, entries)
            if cursor is None:
                return


def _page(found: list[ExternalAccount], parameters: ListParameters) -> ListPage[ExternalAccount]:
    if parameters.ids:
        return ListPage(tuple(each for each in found if each.id in parameters.ids)[: parameters.limit])
    ids, limit = [each.id for each in found], parameters.limit
    for cursor in (parameters.starting_after, parameters.ending_before):
        if cursor is not None and cursor not in ids:
            raise InvalidInputError(f"The list holds no {cursor} to go on from. Begin it anew.")
    if parameters.ending_before is not None:
        end = ids.index(parameters.ending_before)
        start = max(0, end - limit)
    else:
        start = 0 if parameters.starting_after is None else ids.index(parameters.starting_after) + 1
        end = min(len(ids), start + limit)
    return ListPage(
        tuple(found[start:end]),
        next_cursor=ids[end - 1] if start < end < len(ids) else None,
        previous_cursor=ids[start] if 0 < start < end else None,
    )


def _is_customer(owner_id: str) -> bool:
    return not owner_id.startswith("acct_")


def _updates(is_method: bool, owner_id: str | None) -> list[str]:
    if is_method:
        return ["payment_method.updated"]
    is_customers = owner_id is not None and _is_customer(owner_id)
    return ["customer.source.updated"] if is_customers else ["account.external_account.updated"]
