-- What an amount of `term` is multiplied by to be that of a month, as a fraction. Of a price that is not known, the
-- length of the period tells: whole months, whole weeks, or else days.
SELECT
    CASE
        WHEN term.recurring_interval = 'day' THEN 365
        WHEN term.recurring_interval = 'week' THEN 52
        WHEN term.recurring_interval IN ('month', 'year') OR lasted.months IS NOT NULL THEN 1
        WHEN mod(lasted.seconds, 604800) = 0 THEN 52 * 604800
        ELSE 365 * 86400
    END AS numerator,
    CASE
        WHEN term.recurring_interval = 'month' THEN greatest(term.recurring_interval_count, 1)
        WHEN term.recurring_interval IN ('day', 'week', 'year') THEN
            CAST(12 AS numeric) * greatest(term.recurring_interval_count, 1)
        WHEN lasted.months IS NOT NULL THEN lasted.months
        ELSE 12 * lasted.seconds
    END AS denominator,
    coalesce(term.recurring_interval NOT IN ('day', 'week', 'month', 'year'), true) AS is_estimated
FROM (
    SELECT
        nullif(greatest(round(extract(epoch FROM term.period_end - term.period_start)), 0), 0) AS seconds,
        (
            SELECT months FROM (
                SELECT round(extract(epoch FROM term.period_end - term.period_start) / 2629800) AS months
            ) AS nearest
            WHERE months >= 1 AND abs(extract(epoch FROM
                term.period_start AT TIME ZONE 'UTC' + CAST(months AS double precision) * interval '1 month'
                - term.period_end AT TIME ZONE 'UTC')) < 86400
        ) AS months
) AS lasted
