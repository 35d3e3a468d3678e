-- Customers with open invoices, and what they owe in each currency.
SELECT i.customer_id, c.name, c.email, i.currency, count(*) AS invoices, sum(i.amount_remaining) AS owed,
       max(i.attempt_count) AS attempts
FROM analytics.invoices AS i
LEFT JOIN analytics.customers AS c ON (c.workspace_id, c.provider, c.id) = (i.workspace_id, i.provider, i.customer_id)
WHERE i.status = 'open' AND i.amount_remaining > 0
GROUP BY i.workspace_id, i.provider, i.customer_id, c.name, c.email, i.currency
ORDER BY i.currency, owed DESC
