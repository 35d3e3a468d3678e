-- What was paid of invoices in each month, whenever they were billed.
-- Grain: one row per provider, currency and month (UTC) in which invoices were paid.
-- Key: workspace_id, provider, currency, month.
-- Rules: one mode only; as of the last build of figures (revenue_built_at of completeness); invoices that are paid, by the day on which they became so, with all that was paid of them; the month is NULL where the provider does not tell it; nothing that is gone at the provider; refunds and credit notes lower nothing here.
-- Columns:
-- workspace_id, provider, currency, month
-- invoices bigint: Invoices that were paid
-- paid numeric: What was paid of them
SELECT
    workspace_id,
    provider,
    nullif(currency, '') AS currency,
    nullif(paid_month, 'infinity') AS month,
    CAST(sum(invoices) AS bigint) AS invoices,
    sum(paid) * analytics.unit(provider, currency) AS paid
FROM figures.paid_months
WHERE livemode = :livemode
GROUP BY workspace_id, provider, currency, paid_month
