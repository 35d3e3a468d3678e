-- The customers of whom an invoice was written since `seen_until`.
CREATE TEMPORARY TABLE built_billed_changed ON COMMIT DROP AS
SELECT DISTINCT customer_id FROM payments.invoices
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND synced_at >= :seen_until
