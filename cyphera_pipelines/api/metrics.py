"""Metrics for Prometheus: of this API's requests, and of all syncs.

Requests are counted in memory, or with several worker processes in files that all of them write (Prometheus'
multiprocess mode, which `PROMETHEUS_MULTIPROC_DIR` switches on): whichever process is asked then tells of all.
Syncs run in other processes; what is told of them is read from the database.
"""

import os
import threading
import time
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeHistogramMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from cyphera_pipelines.model.alert_channels import ChannelState
from cyphera_pipelines.model.alerts import AlertCause
from cyphera_pipelines.model.freshness import Freshness, FreshnessCounts
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.store.activity import LAG_BUCKETS, Activity, read_activity
from cyphera_pipelines.store.alert_activity import AlertActivity, read_alert_activity
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.freshness import count_by_freshness
from cyphera_pipelines.store.inbox import InboxActivity, read_inbox_activity

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
STALEST_SHOWN = 20
KEPT_FOR = 5.0

_requests_registry = CollectorRegistry()
_requests = Counter(
    "cyphera_http_requests",
    "Requests that were answered, by method, route and status",
    ("method", "route", "status"),
    registry=_requests_registry,
)
_seconds = Histogram(
    "cyphera_http_request_seconds",
    "Seconds that requests took, by method and route",
    ("method", "route"),
    registry=_requests_registry,
)


_webhooks = Counter(
    "cyphera_webhooks_received",
    "Webhooks that came in, by what became of them at once; `rejected`: the signature proved nothing",
    ("provider", "outcome"),
    registry=_requests_registry,
)


def observe_webhook(provider: str, outcome: str) -> None:
    """Count a webhook. Both are of few values: a registered provider, and the answer's status."""
    _webhooks.labels(provider, outcome).inc()


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request. `route` is a template, never a path: there must be few of them."""
    _requests.labels(method, route, status).inc()
    _seconds.labels(method, route).observe(seconds)


class SyncMetrics(Collector):
    """What the database tells of syncs, read at most every few seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._activity = Activity()
        self._fresh = FreshnessCounts(dict.fromkeys(Freshness, 0), 0, 0, 0, 0.0)
        self._inbox = InboxActivity()
        self._alerts_read = AlertActivity()
        self._read_at = 0.0

    def collect(self) -> Iterator[Metric]:
        """The metrics, by Prometheus' interface."""
        activity = self._read()
        now = GaugeMetricFamily("cyphera_sessions_unfinished", "Sessions that wait or run", labels=["status"])
        for status in SessionStatus:
            if not status.is_final:
                now.add_metric([status.value], activity.unfinished.get(status.value, 0))
        yield now
        yield GaugeMetricFamily(
            "cyphera_oldest_pending_session_seconds",
            "Seconds that the oldest pending session has been waiting for its run; 0 where none waits",
            activity.oldest_pending,
        )
        ended = GaugeMetricFamily(
            "cyphera_sessions_ended_last_hour", "Sessions that ended within the last hour", labels=["status"]
        )
        for status in SessionStatus:
            if status.is_final:
                ended.add_metric([status.value], activity.ended.get(status.value, 0))
        yield ended
        rows = GaugeMetricFamily(
            "cyphera_rows_last_hour", "What became of rows in sessions that ended within the last hour", labels=["what"]
        )
        for what, count in activity.rows.items():
            rows.add_metric([what], count)
        yield rows
        of_last_hour = "in sessions that ended within the last hour"
        yield GaugeMetricFamily(
            "cyphera_provider_requests_last_hour", f"Requests to providers {of_last_hour}", activity.requests
        )
        yield GaugeMetricFamily(
            "cyphera_provider_requests_repeated_last_hour", f"Requests made again {of_last_hour}", activity.retries
        )
        yield GaugeMetricFamily(
            "cyphera_provider_requests_rate_limited_last_hour",
            f"Requests refused with status 429 {of_last_hour}",
            activity.rate_limited,
        )
        bounds = [*(str(float(bound)) for bound in LAG_BUCKETS), "+Inf"]
        totals = list(accumulate(activity.lag_counts)) or [0] * len(bounds)
        yield GaugeHistogramMetricFamily(
            "cyphera_source_lag_seconds",
            "Seconds since each active source last completed a sync",
            buckets=list(zip(bounds, totals, strict=True)),
            gsum_value=activity.lag_sum,
        )
        # By id: whoever may read this learns no workspace's name.
        stalest = GaugeMetricFamily(
            "cyphera_stalest_source_lag_seconds",
            f"The same for the {STALEST_SHOWN} stalest sources",
            labels=["configuration_id"],
        )
        for configuration_id, lag in activity.stalest.items():
            stalest.add_metric([str(configuration_id)], lag)
        yield stalest
        fresh = self._fresh
        states = GaugeMetricFamily(
            "cyphera_sources", "Active sources by state: see `cyphera status` for which they are", labels=["state"]
        )
        for state in Freshness:
            states.add_metric([state.value], fresh.sources[state])
        yield states
        yield GaugeMetricFamily(
            "cyphera_sources_paused_by_people", "Active sources that somebody paused", fresh.paused_by_people
        )
        yield GaugeMetricFamily(
            "cyphera_sources_overdue",
            "Active sources that are due, with nobody at work on them",
            fresh.overdue_sources,
        )
        yield GaugeMetricFamily(
            "cyphera_source_overdue_seconds_max", "Seconds that the longest overdue has been due", fresh.overdue_seconds
        )
        yield from self._webhooks()
        yield from self._alerts()

    def _webhooks(self) -> Iterator[Metric]:
        inbox = self._inbox
        unapplied = GaugeMetricFamily(
            "cyphera_webhooks_unapplied",
            "Webhooks that are not in the tables: waiting for a sync, failed and to be tried again, or given up (dead)",
            labels=["state"],
        )
        for state, count in (("waiting", inbox.waiting), ("failed", inbox.failed), ("dead", inbox.dead)):
            unapplied.add_metric([state], count)
        yield unapplied
        yield GaugeMetricFamily(
            "cyphera_oldest_unapplied_webhook_seconds",
            "Seconds since the oldest webhook came in that waits or failed; 0 where there is none",
            inbox.oldest,
        )
        applied = GaugeMetricFamily(
            "cyphera_webhooks_applied_last_hour",
            "Webhooks that came into the tables within the last hour",
            labels=["by"],
        )
        for how, count in (("at_once", inbox.applied_at_once), ("sync", inbox.applied_by_sync)):
            applied.add_metric([how], count)
        yield applied
        yield GaugeMetricFamily(
            "cyphera_webhooks_unrouted_last_hour",
            "Webhooks at the platform's address within the last hour that are of no workspace's account",
            inbox.unrouted,
        )

    def _alerts(self) -> Iterator[Metric]:
        activity = self._alerts_read
        opened = GaugeMetricFamily(
            "cyphera_alerts_open", "Open alerts of sources: see `cyphera alerts list` for which", labels=["cause"]
        )
        for cause in AlertCause:
            opened.add_metric([cause.value], activity.open.get(cause.value, 0))
        yield opened
        channels = GaugeMetricFamily(
            "cyphera_alert_channels", "Channels of alerts, by whether they take what is sent", labels=["state"]
        )
        for state in ChannelState:
            channels.add_metric([state.value], activity.channels.get(state.value, 0))
        yield channels
        yield GaugeMetricFamily(
            "cyphera_alert_deliveries_waiting", "Messages to channels that are still to be sent", activity.waiting
        )
        yield GaugeMetricFamily(
            "cyphera_oldest_alert_delivery_seconds",
            "Seconds that the oldest message has waited that is still to be sent; 0 where there is none",
            activity.oldest_waiting,
        )
        yield GaugeMetricFamily(
            "cyphera_alert_deliveries_last_hour", "Messages that were taken within the last hour", activity.delivered
        )
        yield GaugeMetricFamily(
            "cyphera_alert_deliveries_failed_last_hour",
            "Messages that were given up within the last hour",
            activity.given_up,
        )

    def _read(self) -> Activity:
        with self._lock:
            if time.monotonic() - self._read_at > KEPT_FOR:
                self._activity = read_activity(self._database, stalest=STALEST_SHOWN)
                self._fresh = count_by_freshness(self._database)
                self._inbox = read_inbox_activity(self._database)
                self._alerts_read = read_alert_activity(self._database)
                self._read_at = time.monotonic()
            return self._activity


def render(sync_metrics: SyncMetrics) -> bytes:
    """All metrics in Prometheus' text format."""
    if MULTIPROCESS_FOLDER in os.environ:
        requests_registry = CollectorRegistry()
        MultiProcessCollector(requests_registry)  # type: ignore[no-untyped-call]
    else:
        requests_registry = _requests_registry
    syncs_registry = CollectorRegistry()
    syncs_registry.register(sync_metrics)
    return generate_latest(requests_registry) + generate_latest(syncs_registry)
