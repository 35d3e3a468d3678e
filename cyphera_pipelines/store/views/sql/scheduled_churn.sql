-- MRR that is known to end.
-- Grain: one row per subscription that has MRR now and whose end is known.
-- Key: workspace_id, provider, subscription_id, currency, ends_at.
-- Rules: one mode only; it is in MRR until it ends, unless the workspace's rules say that it leaves when that was asked for; an end that lies in the past has not been heard of from the provider yet.
-- Columns:
-- workspace_id, provider, subscription_id, customer_id, currency
-- ends_at timestamptz: When it ends
-- month date: The month in which it ends, by its first day, in UTC
-- scheduled_churn_mrr numeric: The MRR that ends then
SELECT
    workspace_id,
    provider,
    subscription_id,
    customer_id,
    currency,
    ends_at,
    CAST(date_trunc('month', ends_at AT TIME ZONE 'UTC') AS date) AS month,
    sum(mrr) * analytics.unit(provider, currency) AS scheduled_churn_mrr
FROM figures.subscription_mrr
WHERE livemode = :livemode AND mrr > 0 AND ends_at IS NOT NULL
    AND valid_from <= now() AND (valid_to IS NULL OR valid_to > now())
GROUP BY workspace_id, provider, subscription_id, customer_id, currency, ends_at
