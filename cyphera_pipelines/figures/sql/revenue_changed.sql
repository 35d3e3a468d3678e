-- The months of which an invoice, a line, or the price that tells a line's product was written since `seen_until`.
CREATE TEMPORARY TABLE built_changed ON COMMIT DROP AS
SELECT CAST(date_trunc('month', coalesce(finalized_at, effective_at, created) AT TIME ZONE 'UTC') AS date) AS month
FROM payments.invoices
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND synced_at >= :seen_until
UNION
SELECT CAST(date_trunc('month', coalesce(finalized_at, effective_at, invoice.created) AT TIME ZONE 'UTC') AS date)
FROM payments.invoice_line_items AS line
JOIN payments.invoices AS invoice
    ON invoice.workspace_id = :workspace_id AND invoice.provider = :provider AND invoice.livemode = :livemode
    AND invoice.id = line.invoice_id
WHERE line.workspace_id = :workspace_id AND line.provider = :provider AND line.livemode = :livemode
AND line.synced_at >= :seen_until
UNION
SELECT kept.month
FROM figures.billed_prices AS kept
JOIN payments.prices AS price
    ON price.workspace_id = :workspace_id AND price.provider = :provider AND price.livemode = :livemode
    AND price.id = kept.price_id
WHERE kept.workspace_id = :workspace_id AND kept.provider = :provider AND kept.livemode = :livemode
AND price.synced_at >= :seen_until AND kept.product_id <> coalesce(price.product_id, '')
