-- What became of the customers who began in the same month.
-- Grain: one row per provider, currency, month (UTC) in which customers first had MRR, and month since, that one included.
-- Key: workspace_id, provider, currency, cohort_month, months_since.
-- Rules: one mode only; a customer belongs to the month of its first MRR in the currency, for ever; figures are of the end of each month, of the present one by now, so that who leaves within the first month is missing in it already.
-- Columns:
-- workspace_id, provider, currency
-- cohort_month date: The month of their first MRR, by its first day, in UTC
-- months_since integer: How many months after it: 0 is the month itself
-- month
-- cohort_customers bigint: How many customers began in cohort_month
-- active_customers bigint: How many of them had MRR when the month ended
-- customer_retention numeric: active_customers / cohort_customers, to six decimals
-- cohort_mrr numeric: Their MRR when cohort_month ended
-- mrr numeric: Their MRR when the month ended
-- mrr_retention numeric: mrr / cohort_mrr, to six decimals: above 1 where those who stayed pay more
SELECT
    workspace_id,
    provider,
    currency,
    cohort_month,
    CAST(
        12 * (extract(year FROM at) - extract(year FROM cohort_month)) + extract(month FROM at)
        - extract(month FROM cohort_month) AS integer
    ) AS months_since,
    CAST(at AS date) AS month,
    CAST(cohort_customers AS bigint) AS cohort_customers,
    CAST(active_customers AS bigint) AS active_customers,
    round(active_customers / cohort_customers, 6) AS customer_retention,
    cohort_mrr * analytics.unit(provider, currency) AS cohort_mrr,
    mrr * analytics.unit(provider, currency) AS mrr,
    round(mrr / nullif(cohort_mrr, 0), 6) AS mrr_retention
FROM (
    SELECT
        workspace_id,
        provider,
        currency,
        cohort_month,
        month,
        lead(month) OVER months AS next_month,
        sum(sum(begun)) OVER months AS cohort_customers,
        sum(sum(gained)) OVER months AS active_customers,
        first_value(sum(change)) OVER months AS cohort_mrr,
        sum(sum(change)) OVER months AS mrr
    FROM (
        SELECT
            workspace_id,
            provider,
            currency,
            change,
            CAST(date_trunc('month', CAST(day AS timestamp)) AS date) AS month,
            CAST(date_trunc('month', CAST(min(day) OVER customer AS timestamp)) AS date) AS cohort_month,
            CASE WHEN day = min(day) OVER customer THEN 1 ELSE 0 END AS begun,
            CASE WHEN opening = 0 THEN 1 WHEN closing = 0 THEN -1 ELSE 0 END AS gained
        FROM figures.mrr_movements
        WHERE livemode = :livemode
        WINDOW customer AS (PARTITION BY workspace_id, provider, customer_id, currency)
    ) AS moved
    GROUP BY workspace_id, provider, currency, cohort_month, month
    WINDOW months AS (PARTITION BY workspace_id, provider, currency, cohort_month ORDER BY month)
) AS cohorts
-- A month without a movement is as the one before it.
CROSS JOIN LATERAL generate_series(
    CAST(month AS timestamp),
    coalesce(next_month - interval '1 month', date_trunc('month', now() AT TIME ZONE 'UTC')),
    interval '1 month'
) AS at
