"""What is wrong with which source, found in one statement: it opens alerts, keeps them up to date, and ends them.

A cause *opens* an alert, and something else ends it: of what is neither, the alert stays as it is. So a source that
fails and is then paused, or whose failures were forgotten as somebody entered another key, has not recovered; one that
a sync has brought up to date since has. Everything is reckoned by the database's clock.
"""

import json

from sqlalchemy import Connection, text

from cyphera_pipelines.model.alerts import COUNTED, DEFAULT_RULES, AlertCause
from cyphera_pipelines.model.freshness import BELIEVED_AHEAD_SECONDS, GRACE_SECONDS, GRACE_SHARE
from cyphera_pipelines.model.schedule import DAY

LONGEST_DETAIL = 1_000
"""Characters of what was said."""

MOST_PATIENCE = 4
"""How many times as long a source has to be well before it is told so, for each alert like it in the last day."""

LONGEST_PATIENCE_SECONDS = DAY


def bring_up_to_date(connection: Connection) -> None:
    """Open, keep and end alerts, by what the database tells of all active sources. Nobody else may do so meanwhile."""
    connection.execute(text("LOCK TABLE sync.alerts IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(
        _BRING_UP_TO_DATE,
        {
            "day": DAY,
            "share": 1 + GRACE_SHARE,
            "grace": GRACE_SECONDS,
            "ahead": BELIEVED_AHEAD_SECONDS,
            "longest": LONGEST_DETAIL,
        },
    )
    presets = {"presets": _presets()}
    connection.execute(_RAISE, presets)
    connection.execute(_END, {"factor": MOST_PATIENCE, "most": LONGEST_PATIENCE_SECONDS} | presets)
    connection.execute(_FORGET_UNTOLD)


def _presets() -> str:
    rules = [
        {
            "cause": rule.cause.value,
            "is_on": rule.is_on,
            "times": rule.times,
            "after_seconds": rule.after,
            "all_clear_after_seconds": rule.all_clear_after,
        }
        for rule in DEFAULT_RULES.values()
    ]
    return json.dumps(rules)


# `period` is what may pass between two syncs and still be on time; as in `store/freshness.py`.
_BRING_UP_TO_DATE = text(
    """
    WITH source AS MATERIALIZED (
        SELECT schedule.*,
            make_interval(secs => CASE WHEN daily_at IS NULL THEN changes_every_seconds ELSE :day END * :share + :grace)
                AS period,
            webhooks.failed, webhooks.dead, webhooks.told, webhooks.failed_since, webhooks.dead_since,
            found.differences, found.verified_at
        FROM sync.source_schedules AS schedule
        JOIN sync.workspace_payment_configurations AS configuration
            ON configuration.workspace_id = schedule.workspace_id
            AND configuration.provider_name = schedule.provider_name
            AND configuration.is_active AND configuration.deleted_at IS NULL
        LEFT JOIN (
            SELECT workspace_id, provider_name, livemode,
                count(*) FILTER (WHERE dead_at IS NULL) AS failed, count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead,
                min(received_at) FILTER (WHERE dead_at IS NULL) AS failed_since, min(dead_at) AS dead_since,
                max(ARRAY[last_error, error_code]) AS told
            FROM sync.webhook_events WHERE handled_at IS NULL AND attempts > 0 GROUP BY 1, 2, 3
        ) AS webhooks
            ON webhooks.workspace_id = schedule.workspace_id AND webhooks.provider_name = schedule.provider_name
            AND webhooks.livemode <> configuration.is_test_mode
        LEFT JOIN (
            SELECT workspace_id, provider_name, livemode,
                sum(open_differences) AS differences, min(verified_at) AS verified_at
            FROM sync.verifications WHERE open_differences > 0 GROUP BY 1, 2, 3
        ) AS found
            ON found.workspace_id = schedule.workspace_id AND found.provider_name = schedule.provider_name
            AND found.livemode <> configuration.is_test_mode
    ), state AS MATERIALIZED (
        SELECT *,
            fresh_at IS NOT NULL AND fresh_at >= now() - period
                AND fresh_at <= now() + make_interval(secs => :ahead) AS is_on_time,
            coalesce(claimed_by IS NOT NULL AND lease_until > now(), false) AS is_at_work
        FROM source
    ), wrong AS (
        SELECT workspace_id, provider_name, '{failed}' AS cause, failures AS times, last_failure AS detail,
            failing_since AS began_at, fresh_at, last_failure_code AS error_code
        FROM state WHERE paused_at IS NULL AND last_failure IS NOT NULL AND failures > 0
        UNION ALL
        SELECT workspace_id, provider_name, '{partial}', 1, last_failure, failing_since, fresh_at, last_failure_code
        FROM state WHERE paused_at IS NULL AND last_failure IS NOT NULL AND failures = 0
        UNION ALL
        -- One that was never synced is late when it is that long overdue. A first listing may take hours.
        SELECT workspace_id, provider_name, '{late}', 1, NULL,
            least(now(), coalesce(fresh_at + period, due_at + make_interval(secs => :grace))), fresh_at, NULL
        FROM state WHERE paused_at IS NULL AND last_failure IS NULL AND NOT is_on_time AND (
            fresh_at IS NOT NULL
            OR due_at + make_interval(secs => :grace) < now() AND NOT is_at_work AND NOT EXISTS (
                SELECT FROM sync.payment_sync_sessions AS session
                WHERE session.workspace_id = state.workspace_id AND session.provider_name = state.provider_name
                AND session.status = 'running' AND session.updated_at > now() - make_interval(secs => :grace)
            )
        )
        UNION ALL
        SELECT workspace_id, provider_name, CASE paused_kind WHEN 'credentials' THEN '{credentials}' ELSE '{given_up}'
            END, 1, paused_reason, paused_at, fresh_at,
            coalesce(paused_code, CASE paused_kind WHEN 'credentials' THEN 'credentials-rejected' END)
        FROM state WHERE paused_kind IN ('credentials', 'failures')
        UNION ALL
        SELECT workspace_id, provider_name, '{webhooks_failing}', failed, told[1], failed_since, fresh_at, told[2]
        FROM state WHERE failed > 0
        UNION ALL
        SELECT workspace_id, provider_name, '{webhooks_dead}', dead, told[1], dead_since, fresh_at, told[2]
        FROM state WHERE dead > 0
        UNION ALL
        SELECT workspace_id, provider_name, '{drift}', differences, NULL, verified_at, fresh_at, NULL
        FROM state WHERE differences > 0
    ), opened AS (
        INSERT INTO sync.alerts AS open
            (workspace_id, provider_name, cause, error_code, times, detail, began_at, was_fresh_at)
        SELECT workspace_id, provider_name, cause, error_code, least(times, 2147483647), left(detail, :longest),
            coalesce(began_at, now()), fresh_at
        FROM wrong
        ON CONFLICT (workspace_id, provider_name, cause) WHERE ended_at IS NULL DO UPDATE
            SET error_code = excluded.error_code, times = excluded.times, detail = excluded.detail,
                was_fresh_at = excluded.was_fresh_at, recovered_at = NULL
            WHERE (open.error_code, open.times, open.detail, open.was_fresh_at) IS DISTINCT FROM
                (excluded.error_code, excluded.times, excluded.detail, excluded.was_fresh_at)
                OR open.recovered_at IS NOT NULL
    )
    UPDATE sync.alerts AS open
    SET recovered_at = coalesce(open.recovered_at, now()),
        ended_at = CASE WHEN state.workspace_id IS NULL THEN now() END,
        ended_because = CASE WHEN state.workspace_id IS NULL THEN 'removed' END
    FROM sync.alerts AS same
    LEFT JOIN state ON state.workspace_id = same.workspace_id AND state.provider_name = same.provider_name
    WHERE same.id = open.id AND open.ended_at IS NULL
    AND NOT EXISTS (
        SELECT FROM wrong
        WHERE (wrong.workspace_id, wrong.provider_name, wrong.cause)
            = (open.workspace_id, open.provider_name, open.cause)
    )
    AND (
        state.workspace_id IS NULL
        OR open.recovered_at IS NULL AND CASE open.cause
            WHEN '{late}' THEN state.is_on_time
            WHEN '{webhooks_failing}' THEN coalesce(state.failed, 0) + coalesce(state.dead, 0) = 0
            WHEN '{webhooks_dead}' THEN coalesce(state.dead, 0) = 0
            WHEN '{drift}' THEN coalesce(state.differences, 0) = 0
            ELSE state.paused_at IS NULL AND state.last_failure IS NULL AND state.fresh_at IS NOT NULL
                AND (open.was_fresh_at IS NULL OR state.fresh_at > open.was_fresh_at)
        END
    )
    """.format(**{cause.value: cause.value for cause in AlertCause})
)


def _is_met(rule: str) -> str:
    counted = ", ".join(f"'{cause.value}'" for cause in COUNTED)
    # Earlier versions took a number for causes that count nothing, which would never be told.
    times = f"CASE WHEN alert.cause IN ({counted}) THEN {rule}.times END"
    return f"""
        {rule}.is_on AND (
            {times} IS NULL AND {rule}.after_seconds IS NULL OR alert.times >= {times}
            OR alert.began_at <= now() - make_interval(secs => {rule}.after_seconds)
        )
    """


# The deployment's: as somebody set it, else as it is by default.
_RULE = """
    rule AS MATERIALIZED (
        SELECT cause, is_on, times, after_seconds, all_clear_after_seconds
        FROM sync.alert_rules WHERE workspace_id IS NULL
        UNION ALL
        SELECT preset.* FROM jsonb_to_recordset(CAST(:presets AS jsonb)) AS preset
            (cause text, is_on boolean, times integer, after_seconds integer, all_clear_after_seconds integer)
        WHERE NOT EXISTS (SELECT FROM sync.alert_rules WHERE workspace_id IS NULL AND cause = preset.cause)
    )
"""
_RAISE = text(
    f"""
    WITH {_RULE},
    met AS (
        SELECT alert.id, coalesce({_is_met("rule")}, false) AS is_met,
            coalesce(CASE WHEN own.id IS NULL THEN {_is_met("rule")} ELSE {_is_met("own")} END, false) AS is_own_met
        FROM sync.alerts AS alert
        JOIN rule ON rule.cause = alert.cause
        LEFT JOIN sync.alert_rules AS own ON own.workspace_id = alert.workspace_id AND own.cause = alert.cause
        WHERE alert.ended_at IS NULL AND alert.recovered_at IS NULL
        AND (alert.raised_at IS NULL OR alert.raised_for_workspace_at IS NULL)
    )
    UPDATE sync.alerts AS alert
    SET raised_at = coalesce(alert.raised_at, CASE WHEN is_met THEN now() END),
        raised_for_workspace_at = coalesce(alert.raised_for_workspace_at, CASE WHEN is_own_met THEN now() END)
    FROM met WHERE met.id = alert.id
    AND (is_met AND alert.raised_at IS NULL OR is_own_met AND alert.raised_for_workspace_at IS NULL)
    """
)
_END = text(
    f"""
    WITH {_RULE}
    UPDATE sync.alerts AS alert SET ended_at = now(), ended_because = 'recovered'
    FROM rule
    WHERE alert.ended_at IS NULL AND alert.recovered_at IS NOT NULL AND rule.cause = alert.cause
    AND alert.recovered_at <= now() - make_interval(secs => least(:most, rule.all_clear_after_seconds * power(:factor, (
        SELECT least(count(*), 20) FROM sync.alerts AS former
        WHERE former.workspace_id = alert.workspace_id AND former.provider_name = alert.provider_name
        AND former.cause = alert.cause AND former.ended_at > now() - interval '1 day'
    ))))
    """
)
_FORGET_UNTOLD = text(
    "DELETE FROM sync.alerts WHERE ended_at IS NOT NULL AND raised_at IS NULL AND raised_for_workspace_at IS NULL"
)
