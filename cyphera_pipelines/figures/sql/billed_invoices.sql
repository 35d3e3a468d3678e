-- What invoices come to, by the month that they are of and, of those that are paid, the month in which they were.
-- Drafts are counted, and nothing else is told of them.
CREATE TEMPORARY TABLE built_billed_invoices ON COMMIT DROP AS
SELECT
    coalesce(currency, '') AS currency, month,
    CASE WHEN status = 'paid' THEN
        coalesce(CAST(date_trunc('month', paid_at AT TIME ZONE 'UTC') AS date), 'infinity')
    END AS paid_month,
    count(*) AS known_invoices,
    count(*) FILTER (WHERE is_billed OR is_void) AS finalized,
    count(*) FILTER (WHERE is_billed) AS invoices,
    coalesce(sum(without_tax) FILTER (WHERE is_billed), 0) AS billed,
    coalesce(sum(total - without_tax) FILTER (WHERE is_billed), 0) AS taxes,
    coalesce(sum(total) FILTER (WHERE is_billed), 0) AS total,
    sum(total_discounts) FILTER (WHERE is_billed) AS discounts,
    coalesce(
        sum(coalesce(pre_payment_credit_notes_amount, 0) + coalesce(post_payment_credit_notes_amount, 0))
            FILTER (WHERE is_billed),
        0
    ) AS credited,
    coalesce(sum(amount_paid) FILTER (WHERE is_billed), 0) AS paid,
    coalesce(sum(amount_remaining) FILTER (WHERE status = 'open'), 0) AS outstanding,
    coalesce(sum(amount_remaining) FILTER (WHERE status = 'uncollectible'), 0) AS uncollectible,
    coalesce(sum(total) FILTER (WHERE is_void), 0) AS voided
FROM payments.invoices
CROSS JOIN LATERAL (
    SELECT
        CAST(date_trunc('month', coalesce(finalized_at, effective_at, created) AT TIME ZONE 'UTC') AS date) AS month,
        coalesce(status IN ('open', 'paid', 'uncollectible'), false) AS is_billed,
        coalesce(status = 'void', false) AS is_void,
        coalesce(total_excluding_tax, total - coalesce(total_taxes, 0)) AS without_tax
) AS told
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND deleted_at IS NULL
AND {in_months}
GROUP BY 1, 2, 3
