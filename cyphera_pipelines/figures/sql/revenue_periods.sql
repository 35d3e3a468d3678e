-- Lines of the same days are earned alike, and rounded together.
CREATE TEMPORARY TABLE built_revenue_periods ON COMMIT DROP AS
SELECT
    currency, month, coalesce(service_from, month) AS first_day, coalesce(service_until, month + 1) AS day_after,
    coalesce(
        CASE
            WHEN service_from IS NOT NULL THEN ended_on
            -- What is for no days is earned with the booking, unless the invoice ended on that very day.
            WHEN ended_on IS NOT NULL THEN month + CASE WHEN ended_on > booked_on THEN 1 ELSE 0 END
        END,
        'infinity'
    ) AS last_earned,
    coalesce(CAST(date_trunc('month', CAST(ended_on AS timestamp)) AS date), 'infinity') AS ended_month,
    status = 'void' AS is_void, sum(net) AS net
FROM built_revenue_lines
GROUP BY 1, 2, 3, 4, 5, 6, 7
