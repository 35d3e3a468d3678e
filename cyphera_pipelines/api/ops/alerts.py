"""Alerts: what is wrong, whom it is told to, when, and what became of telling."""

from typing import Annotated
from uuid import UUID

import anyio
from fastapi import Form, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from cyphera_pipelines.alerts.channels import Added, Wanted, add
from cyphera_pipelines.alerts.delivering import send_test
from cyphera_pipelines.alerts.messages import Writer
from cyphera_pipelines.api.ops.pages import page, url_for_ops
from cyphera_pipelines.api.ops.route import ops_router
from cyphera_pipelines.api.ops.viewers import ActingViewer, CurrentViewer, Viewer
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.alert_channels import AlertDelivery, ChannelKind
from cyphera_pipelines.model.alerts import COUNTED, AlertCause, AlertRule, AlertState, checked_rule, rule_in_words
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.schedule_words import duration
from cyphera_pipelines.store.alert_channels import find_channel, list_channels, remove_channel
from cyphera_pipelines.store.alert_deliveries import list_deliveries
from cyphera_pipelines.store.alert_rules import forget_rule, read_rules, set_rule
from cyphera_pipelines.store.alerts import alerts_in, count_alerts

MOST_ALERTS, MOST_DELIVERIES = 200, 50

router = ops_router()


@router.get("/alerts")
def show(
    request: Request,
    viewer: CurrentViewer,
    services: RequestServices,
    state: Annotated[AlertState, Query()] = AlertState.OPEN,
) -> Response:
    """Alerts in one state, then channels, rules and deliveries."""
    return _page(request, viewer, services, state=state)


@router.post("/alerts/channels")
def add_channel(
    request: Request,
    viewer: ActingViewer,
    services: RequestServices,
    name: Annotated[str, Form()] = "",
    kind: Annotated[ChannelKind, Form()] = ChannelKind.WEBHOOK,
    address: Annotated[str, Form()] = "",
    cause: Annotated[list[AlertCause] | None, Form()] = None,
) -> Response:
    """Add a channel, and show a webhook's secret, this once."""
    wanted = Wanted(name, kind, address, cause or None)
    added = add(services.database, services.keyring, services.settings, _whose(viewer), wanted)
    return _page(request, viewer, services, added=added)


@router.get("/alerts/channels/{channel_id}/remove")
def ask_to_remove(channel_id: UUID, request: Request, viewer: CurrentViewer, services: RequestServices) -> Response:
    """Name what is to be removed."""
    channel = find_channel(services.database, _whose(viewer), channel_id)
    return page(request, viewer, "alert_channel_removal.html", channel=channel)


@router.post("/alerts/channels/{channel_id}/remove")
def remove(channel_id: UUID, request: Request, viewer: ActingViewer, services: RequestServices) -> Response:
    """Send nothing to the channel any more."""
    remove_channel(services.database, _whose(viewer), channel_id)
    return _to_alerts(request)


@router.post("/alerts/channels/{channel_id}/test")
async def send_a_test(channel_id: UUID, request: Request, viewer: ActingViewer, services: RequestServices) -> Response:
    """Send a test, and show what became of it."""
    with services.connection_tests.take(viewer.key_id if viewer.workspace is None else viewer.workspace.id):
        channel = await run_in_threadpool(find_channel, services.database, _whose(viewer), channel_id)

        def send() -> AlertDelivery:
            writer = Writer(services.settings.ops_url)
            return send_test(services.database, services.keyring, services.settings, writer, channel)

        # Without a thread that other requests need: this may take its time.
        tested = await anyio.to_thread.run_sync(send, limiter=services.connection_test_threads)
    return await run_in_threadpool(lambda: _page(request, viewer, services, tested=tested))


@router.post("/alerts/rules")
def set_one(
    request: Request,
    viewer: ActingViewer,
    services: RequestServices,
    cause: Annotated[AlertCause, Form()],
    told: Annotated[str, Form(pattern="^(on|off|default)$")],
    times: Annotated[str, Form(max_length=10)] = "",
    after: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Change when a cause is told, or let the default count again."""
    whose = _whose(viewer)
    if told == "default":
        forget_rule(services.database, whose, cause)
        return _to_alerts(request)
    present, _ = read_rules(services.database, whose)[cause]
    if times.strip() and not times.strip().isdecimal():
        raise InvalidInputError("From how many on a cause is told is a number, as in 2.")
    rule = AlertRule(
        cause=cause,
        is_on=told == "on",
        times=int(times) if times.strip() else None,
        after=duration(after.strip()) if after.strip() else None,
        all_clear_after=present.all_clear_after,
    )
    set_rule(services.database, whose, checked_rule(rule))
    return _to_alerts(request)


def _page(
    request: Request,
    viewer: Viewer,
    services: Services,
    *,
    state: AlertState = AlertState.OPEN,
    added: Added | None = None,
    tested: AlertDelivery | None = None,
) -> Response:
    whose, database = _whose(viewer), services.database
    with viewer.transaction(database) as connection:
        counts = count_alerts(connection, of_workspace=whose is not None)
        alerts = alerts_in(connection, of_workspace=whose is not None, states=(state,), limit=MOST_ALERTS)
    return page(
        request,
        viewer,
        "alerts.html",
        state=state,
        counts=counts,
        alerts=alerts,
        most_alerts=MOST_ALERTS,
        channels=list_channels(database, whose),
        rules=[(rule, rule_in_words(rule), is_own) for rule, is_own in read_rules(database, whose).values()],
        deliveries=list_deliveries(database, whose, limit=MOST_DELIVERIES),
        kinds=list(ChannelKind),
        causes=list(AlertCause),
        counted=COUNTED,
        added=added,
        tested=tested,
    )


def _whose(viewer: Viewer) -> UUID | None:
    return None if viewer.workspace is None else viewer.workspace.id


def _to_alerts(request: Request) -> Response:
    return RedirectResponse(url_for_ops(request, "/alerts"), 303)
