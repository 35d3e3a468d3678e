"""Provider accounts: which ones the workspace calls its own, or has reached."""

from http import HTTPStatus

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.routes.router import CONFLICT, authenticated_router
from cyphera_pipelines.api.schemas.accounts import AccountOut, Accounts, RegisterAccount
from cyphera_pipelines.api.schemas.fields import Limit, Offset
from cyphera_pipelines.api.services import RequestServices
from cyphera_pipelines.store.accounts import page_accounts, register_account

router = authenticated_router("Accounts")


@router.get("/accounts", operation_id="listAccounts")
def list_all(caller: CurrentCaller, services: RequestServices, limit: Limit = 20, offset: Offset = 0) -> Accounts:
    """The workspace's accounts: those that were registered, and those that a connection test or a sync reached."""
    found, total = page_accounts(services.database, caller.workspace.id, limit=limit, offset=offset)
    shown = [AccountOut.of(each) for each in found]
    active = [each for each in shown if each.is_active]
    return Accounts(accounts=shown, provider_accounts=active, total=total, limit=limit, offset=offset)


@router.post("/accounts", status_code=HTTPStatus.CREATED, responses=CONFLICT, operation_id="registerAccount")
def register(body: RegisterAccount, caller: CurrentCaller, services: RequestServices) -> AccountOut:
    """Register an account as the workspace's; registered again, it takes the values that are given then.

    This is the workspace's own word, and proves nothing: no data and no webhook comes of it before a connection has
    reached the account (see `POST /config/{config_id}/test`). An account belongs to one workspace: one that is another
    workspace's is answered with 409, whoever's it is. Where that one has only registered it too, it becomes this
    workspace's as soon as a connection reaches it. Answers 409 beyond 100 accounts.
    """
    account = register_account(
        services.database,
        caller.workspace.id,
        body.provider_name,
        body.as_claim(),
        quotas=services.settings.quotas(),
    )
    return AccountOut.of(account)
