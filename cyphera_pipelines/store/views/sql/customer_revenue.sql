-- What each customer was billed and paid: quick with any number of invoices, where customer_summary, which tells more, reads them.
-- Grain: one row per customer and currency in which there are invoices that were finalized and are not void.
-- Key: workspace_id, provider, customer_id, currency.
-- Rules: one mode only; as of the last build of figures (revenue_built_at of completeness); no drafts and void invoices, and nothing that is gone at the provider; refunds and credit notes lower nothing here.
-- Columns:
-- workspace_id, provider, customer_id, currency
-- invoices bigint: Invoices that were finalized and are not void
-- total numeric: Their totals, with taxes
-- paid numeric: What was paid of them
SELECT
    workspace_id,
    provider,
    nullif(customer_id, '') AS customer_id,
    nullif(currency, '') AS currency,
    invoices,
    total * analytics.unit(provider, currency) AS total,
    paid * analytics.unit(provider, currency) AS paid
FROM figures.billed_customers
WHERE livemode = :livemode AND invoices > 0
