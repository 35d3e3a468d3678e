-- What was billed in each month.
-- Grain: one row per provider, currency and month (UTC) in which invoices were finalized.
-- Key: workspace_id, provider, currency, month.
-- Rules: one mode only; as of the last build of figures (revenue_built_at of completeness); no drafts, and nothing that is gone at the provider; by the day of finalization, or the invoice's date where the provider does not tell; void invoices in voided alone; uncollectible ones are billed, and what is left of them is in uncollectible; paid is what was paid of the month's invoices, whenever that was.
-- Columns:
-- workspace_id, provider, currency, month
-- invoices bigint: Invoices that are not void
-- billed numeric: Their totals without tax, after discounts
-- taxes numeric: Their taxes
-- total numeric: Their totals: billed and taxes
-- discounts numeric: What discounts took off them; NULL where the provider tells of none of them
-- credited numeric: What credit notes took off them, before and after payment, with their taxes
-- paid numeric: What was paid of them
-- outstanding numeric: What is still to be paid of those that are open
-- uncollectible numeric: What was to be paid of those that were given up
-- voided numeric: Totals of void invoices
SELECT
    workspace_id,
    provider,
    nullif(currency, '') AS currency,
    month,
    invoices,
    billed * analytics.unit(provider, currency) AS billed,
    taxes * analytics.unit(provider, currency) AS taxes,
    total * analytics.unit(provider, currency) AS total,
    discounts * analytics.unit(provider, currency) AS discounts,
    credited * analytics.unit(provider, currency) AS credited,
    paid * analytics.unit(provider, currency) AS paid,
    outstanding * analytics.unit(provider, currency) AS outstanding,
    uncollectible * analytics.unit(provider, currency) AS uncollectible,
    voided * analytics.unit(provider, currency) AS voided
FROM figures.billed_months
WHERE livemode = :livemode AND finalized > 0
