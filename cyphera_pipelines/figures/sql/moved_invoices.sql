-- Whether an invoice is kept under a month or a customer that is its own no more: then more are kept than there are.
-- Fewer are where some came while this build went on; the next one counts them.
SELECT greatest(
    (
        SELECT coalesce(sum(known_invoices), 0) FROM figures.billed_months
        WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
    ),
    (
        SELECT coalesce(sum(known_invoices), 0) FROM figures.billed_customers
        WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
    )
) > (
    SELECT count(*) FROM payments.invoices
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND deleted_at IS NULL
)
