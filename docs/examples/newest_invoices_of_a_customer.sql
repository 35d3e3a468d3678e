-- The newest invoices of the customer who has most of them, with their lines.
SELECT i.id, i.created, i.status, i.currency, i.total, l.description, l.quantity, l.amount
FROM analytics.invoices AS i
JOIN analytics.invoice_line_items AS l
    ON (l.workspace_id, l.provider, l.invoice_id) = (i.workspace_id, i.provider, i.id)
WHERE (i.workspace_id, i.provider, i.customer_id) = (
    SELECT workspace_id, provider, customer_id FROM analytics.customer_revenue WHERE customer_id IS NOT NULL
    ORDER BY invoices DESC, customer_id LIMIT 1
)
ORDER BY i.created DESC, i.id, l.line_index
LIMIT 50
