-- What each customer was billed and paid, of all months.
CREATE TEMPORARY TABLE built_billed_customers ON COMMIT DROP AS
SELECT
    coalesce(currency, '') AS currency, coalesce(customer_id, '') AS customer_id, count(*) AS known_invoices,
    count(*) FILTER (WHERE status IN ('open', 'paid', 'uncollectible')) AS invoices,
    coalesce(sum(total) FILTER (WHERE status IN ('open', 'paid', 'uncollectible')), 0) AS total,
    coalesce(sum(amount_paid) FILTER (WHERE status IN ('open', 'paid', 'uncollectible')), 0) AS paid
FROM payments.invoices
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND deleted_at IS NULL
AND {of_customers}
GROUP BY 1, 2
