"""Providers: what can be connected."""

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.routes.router import authenticated_router
from cyphera_pipelines.api.schemas.providers import CapabilityOut, ProviderOut, Providers, SourceOptionOut
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionType
from cyphera_pipelines.operations.capability_matrix import operations_of
from cyphera_pipelines.providers.base import ObjectKind
from cyphera_pipelines.providers.registry import PROVIDERS

router = authenticated_router("Providers")


@router.get("/providers", operation_id="listProviders")
def list_all(_caller: CurrentCaller) -> Providers:
    """The providers that there are, their entities and what can be done with them."""
    return Providers(
        providers=[
            ProviderOut(
                name=provider.name,
                title=provider.title,
                entities=list(provider.entities),
                session_types=list(SessionType),
                conflict_strategies=list(ConflictStrategy),
                capabilities=[
                    CapabilityOut(
                        kind=kind,
                        operations=operations_of(provider.capabilities, kind),
                        filters=list(provider.capabilities.filters.get(kind, ())),
                    )
                    for kind in ObjectKind
                ],
                options=[SourceOptionOut.model_validate(option) for option in provider.options],
                webhook_proof=provider.webhook_proof,
            )
            for provider in PROVIDERS.values()
        ]
    )
