"""The audit trail: who did what to the workspace."""

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.routes.router import ADMINISTRATION_PREFIX, authenticated_router
from cyphera_pipelines.api.schemas.audit import AuditEntryOut, AuditTrail
from cyphera_pipelines.api.schemas.fields import Limit, Offset
from cyphera_pipelines.api.services import RequestServices
from cyphera_pipelines.store.audit import page_audit_entries

router = authenticated_router("Audit trail", ADMINISTRATION_PREFIX)


@router.get("/audit", operation_id="listAuditEntries")
def list_all(caller: CurrentCaller, services: RequestServices, limit: Limit = 20, offset: Offset = 0) -> AuditTrail:
    """Who did what to the workspace, its configurations, keys and analysts: newest first.

    What was refused is in it too, 60 entries an hour at most; a revoked key, or one with a wrong secret, once an hour.
    Entries are kept for two years unless the operator decides otherwise, and 100,000 of a workspace at most.
    """
    found, total = page_audit_entries(services.database, caller.workspace.id, limit=limit, offset=offset)
    shown = [AuditEntryOut.model_validate(each) for each in found]
    return AuditTrail(entries=shown, total=total, limit=limit, offset=offset)
