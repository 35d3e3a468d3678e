"""Alerts of the workspace's sources, and whom they are told to."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import anyio
from fastapi import Path, Query
from starlette.concurrency import run_in_threadpool

from cyphera_pipelines.alerts.channels import Wanted, add
from cyphera_pipelines.alerts.delivering import send_test
from cyphera_pipelines.alerts.messages import Writer
from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.routes.router import ADMINISTRATION_PREFIX, CONFLICT, NOT_FOUND, authenticated_router
from cyphera_pipelines.api.schemas.alerts import (
    AlertOut,
    AlertsOut,
    ChannelAdded,
    ChannelIn,
    ChannelOut,
    ChannelsOut,
    DeliveriesOut,
    DeliveryOut,
    RuleIn,
    RuleOut,
    RulesOut,
)
from cyphera_pipelines.api.schemas.fields import Limit, Offset
from cyphera_pipelines.api.services import RequestServices
from cyphera_pipelines.model.alerts import AlertCause, AlertState
from cyphera_pipelines.store.alert_channels import find_channel, list_channels, remove_channel
from cyphera_pipelines.store.alert_deliveries import list_deliveries
from cyphera_pipelines.store.alert_rules import forget_rule, read_rules, set_rule
from cyphera_pipelines.store.alerts import list_alerts

router = authenticated_router("Alerts", ADMINISTRATION_PREFIX)

ChannelId = Annotated[UUID, Path(description="The channel's id.")]
StateFilter = Annotated[
    list[AlertState] | None, Query(alias="state", description="Only these; `open` and `recovering` unless given.")
]


@router.get("/alerts", operation_id="listAlerts")
def list_all(
    caller: CurrentCaller,
    services: RequestServices,
    states: StateFilter = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> AlertsOut:
    """What is wrong with the workspace's sources, as its rules have it. Those that ended are kept for 90 days."""
    wanted = tuple(states or (AlertState.OPEN, AlertState.RECOVERING))
    found = list_alerts(services.database, caller.workspace.id, wanted, limit=limit, offset=offset)
    return AlertsOut(alerts=[AlertOut.of(each) for each in found])


@router.get("/alert-channels", operation_id="listAlertChannels")
def list_all_channels(caller: CurrentCaller, services: RequestServices) -> ChannelsOut:
    """The workspace's channels, and whether they take what is sent. The deployment's own are not shown."""
    found = list_channels(services.database, caller.workspace.id)
    return ChannelsOut(channels=[ChannelOut.of(each) for each in found])


@router.post("/alert-channels", status_code=HTTPStatus.CREATED, responses=CONFLICT, operation_id="addAlertChannel")
def add_channel(body: ChannelIn, caller: CurrentCaller, services: RequestServices) -> ChannelAdded:
    """Add a channel, which is told of the workspace's own sources. The address must be on the public internet."""
    wanted = Wanted(body.name, body.kind, body.address.get_secret_value(), body.causes)
    added = add(services.database, services.keyring, services.settings, caller.workspace.id, wanted)
    return ChannelAdded(**ChannelOut.of(added.channel).model_dump(), secret=added.secret)


@router.delete(
    "/alert-channels/{channel_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NOT_FOUND,
    operation_id="removeAlertChannel",
)
def remove(channel_id: ChannelId, caller: CurrentCaller, services: RequestServices) -> None:
    """Send nothing to the channel any more, and forget where it led to."""
    remove_channel(services.database, caller.workspace.id, channel_id)


@router.post("/alert-channels/{channel_id}/test", responses={**NOT_FOUND, **CONFLICT}, operation_id="testAlertChannel")
async def test(channel_id: ChannelId, caller: CurrentCaller, services: RequestServices) -> DeliveryOut:
    """Send a test, now and once; one that is taken revives a channel that was dead.

    What became of it is told with status 200, and `state`, within half a minute whatever the receiver does. Answers
    409 while something else is being sent, and 429 after 30 tests in an hour, or while two are at work.
    """
    with services.connection_tests.take(caller.workspace.id):
        channel = await run_in_threadpool(find_channel, services.database, caller.workspace.id, channel_id)
        writer = Writer(services.settings.ops_url)

        def send() -> DeliveryOut:
            done = send_test(services.database, services.keyring, services.settings, writer, channel)
            return DeliveryOut.of(done)

        # Without a thread that other requests need: this may take its time.
        return await anyio.to_thread.run_sync(send, limiter=services.connection_test_threads)


@router.get("/alert-deliveries", operation_id="listAlertDeliveries")
def list_all_deliveries(
    caller: CurrentCaller,
    services: RequestServices,
    channel_id: Annotated[UUID | None, Query(description="Only to this channel.")] = None,
    limit: Limit = 20,
) -> DeliveriesOut:
    """What was sent to the workspace's channels, and what became of it."""
    found = list_deliveries(services.database, caller.workspace.id, channel_id=channel_id, limit=limit)
    return DeliveriesOut(deliveries=[DeliveryOut.of(each) for each in found])


@router.get("/alert-rules", operation_id="listAlertRules")
def list_all_rules(caller: CurrentCaller, services: RequestServices) -> RulesOut:
    """When each cause is told to the workspace's channels."""
    found = read_rules(services.database, caller.workspace.id)
    return RulesOut(rules=[RuleOut.of(rule, is_own=is_own) for rule, is_own in found.values()])


@router.put("/alert-rules", operation_id="setAlertRule")
def set_one(body: RuleIn, caller: CurrentCaller, services: RequestServices) -> RuleOut:
    """Change when a cause is told to the workspace's channels. What the deployment's are told stays as it is."""
    rule = body.as_rule()
    set_rule(services.database, caller.workspace.id, rule)
    return RuleOut.of(rule, is_own=True)


@router.delete("/alert-rules", operation_id="forgetAlertRule")
def forget(
    cause: Annotated[AlertCause, Query(description="What the rule is about.")],
    caller: CurrentCaller,
    services: RequestServices,
) -> RuleOut:
    """Let the deployment's rule count again; it is what is answered."""
    forget_rule(services.database, caller.workspace.id, cause)
    rule, is_own = read_rules(services.database, caller.workspace.id)[cause]
    return RuleOut.of(rule, is_own=is_own)
