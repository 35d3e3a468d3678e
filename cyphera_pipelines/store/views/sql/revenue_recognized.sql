-- When revenue that was booked is earned: the waterfall of booked month by recognized month.
-- Grain: one row per provider, currency, month in which invoices were booked, and month in which a part of them is recognized, or taken back.
-- Key: workspace_id, provider, currency, booked_month, recognized_month.
-- Rules: one mode only; as of the last build of figures (revenue_built_at of completeness); lines as in revenue_lines: after discounts, without tax; evenly by day over the line's period, paid or not; a line for no days at once; days before the booking in the booked month; an invoice that is given up is recognized until then, and the rest written off; of a void one, what was recognized is taken back in the month in which it was voided, and all written off; rounded so that recognized and written_off of all months add up to the lines' sum, and deferred is what is left of that after each month; credit notes and refunds lower nothing here.
-- Columns:
-- workspace_id, provider, currency
-- booked_month date: The month in which the invoices were finalized, by its first day, in UTC
-- recognized_month date: The month in which this part is earned, by its first day, in UTC
-- recognized numeric: What is earned in it, by its end; negative where void invoices take back more
-- written_off numeric: What never will be, of invoices that were voided or given up in it
-- deferred numeric: What is left of booked_month when recognized_month has ended
-- booked numeric: The lines' sum of booked_month
-- is_ahead boolean: Whether recognized_month has yet to begin
SELECT
    workspace_id,
    provider,
    currency,
    CAST(booked_month AS date) AS booked_month,
    recognized_month,
    recognized * unit AS recognized,
    written_off * unit AS written_off,
    (
        sum(recognized + written_off) OVER (PARTITION BY workspace_id, provider, currency, booked_month)
        - sum(recognized + written_off) OVER (
            PARTITION BY workspace_id, provider, currency, booked_month ORDER BY recognized_month
        )
    ) * unit AS deferred,
    sum(recognized + written_off) OVER (PARTITION BY workspace_id, provider, currency, booked_month) * unit AS booked,
    recognized_month > now() AT TIME ZONE 'UTC' AS is_ahead
FROM (
    SELECT
        workspace_id,
        provider,
        currency,
        analytics.unit(provider, currency) AS unit,
        booked_month,
        CAST(greatest(part.month, booked_month) AS date) AS recognized_month,
        sum(part.recognized) AS recognized,
        sum(part.written_off) AS written_off
    FROM (
        SELECT
            workspace_id,
            provider,
            nullif(currency, '') AS currency,
            CAST(month AS timestamp) AS booked_month,
            first_day,
            day_after,
            nullif(last_earned, 'infinity') AS last_earned,
            CAST(nullif(ended_month, 'infinity') AS timestamp) AS ended_month,
            is_void,
            round(net / analytics.unit(provider, currency)) AS net
        FROM figures.revenue_periods
        WHERE livemode = :livemode
    ) AS booked
    CROSS JOIN LATERAL (
        SELECT
            day_after - first_day AS days,
            greatest(least(day_after, coalesce(last_earned, day_after)) - first_day, 0) AS earned_days
    ) AS counted
    CROSS JOIN LATERAL (
        SELECT
            month,
            round(net * least(CAST(month + interval '1 month' AS date) - first_day, earned_days) / days)
            - round(net * greatest(least(CAST(month AS date) - first_day, earned_days), 0) / days) AS recognized,
            0 AS written_off
        FROM generate_series(
            date_trunc('month', CAST(first_day AS timestamp)),
            date_trunc('month', CAST(first_day + greatest(earned_days, 1) - 1 AS timestamp)),
            interval '1 month'
        ) AS month
        UNION ALL
        SELECT
            ended_month,
            CASE WHEN is_void THEN -round(net * earned_days / days) ELSE 0 END,
            CASE WHEN is_void THEN net ELSE net - round(net * earned_days / days) END
        WHERE ended_month IS NOT NULL
    ) AS part
    GROUP BY workspace_id, provider, currency, booked_month, greatest(part.month, booked_month)
) AS waterfall
