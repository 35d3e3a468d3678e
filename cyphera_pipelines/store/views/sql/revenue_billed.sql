-- What was billed in each month.
-- Grain: one row per provider, currency and month (UTC) in which invoices were finalized.
-- Key: workspace_id, provider, currency, month.
-- Rules: one mode only; no drafts, and nothing that is gone at the provider; by the day of finalization, or the invoice's date where the provider does not tell; void invoices in voided alone; uncollectible ones are billed, and what is left of them is in uncollectible; paid is what was paid of the month's invoices, whenever that was.
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
    currency,
    CAST(date_trunc('month', booked_at) AS date) AS month,
    count(*) FILTER (WHERE NOT is_void) AS invoices,
    coalesce(sum(coalesce(total_excluding_tax, total - coalesce(total_taxes, 0))) FILTER (WHERE NOT is_void), 0) * unit AS billed,
    coalesce(sum(total - coalesce(total_excluding_tax, total - coalesce(total_taxes, 0))) FILTER (WHERE NOT is_void), 0) * unit
        AS taxes,
    coalesce(sum(total) FILTER (WHERE NOT is_void), 0) * unit AS total,
    sum(total_discounts) FILTER (WHERE NOT is_void) * unit AS discounts,
    coalesce(
        sum(coalesce(pre_payment_credit_notes_amount, 0) + coalesce(post_payment_credit_notes_amount, 0))
            FILTER (WHERE NOT is_void),
        0
    ) * unit AS credited,
    coalesce(sum(amount_paid) FILTER (WHERE NOT is_void), 0) * unit AS paid,
    coalesce(sum(amount_remaining) FILTER (WHERE status = 'open'), 0) * unit AS outstanding,
    coalesce(sum(amount_remaining) FILTER (WHERE status = 'uncollectible'), 0) * unit AS uncollectible,
    coalesce(sum(total) FILTER (WHERE is_void), 0) * unit AS voided
FROM payments.invoices
CROSS JOIN LATERAL (
    SELECT
        coalesce(finalized_at, effective_at, created) AT TIME ZONE 'UTC' AS booked_at,
        status = 'void' AS is_void,
        analytics.unit(provider, currency) AS unit
) AS told
WHERE livemode = :livemode AND deleted_at IS NULL AND status IN ('open', 'paid', 'uncollectible', 'void')
GROUP BY workspace_id, provider, currency, unit, date_trunc('month', booked_at)
