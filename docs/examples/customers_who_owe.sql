-- Customers with open invoices, and what they owe in each currency.
SELECT owing.customer_id, c.name, c.email, owing.currency, owing.invoices, owing.owed, owing.attempts
FROM (
    SELECT workspace_id, provider, customer_id, currency, count(*) AS invoices, sum(amount_remaining) AS owed,
           max(attempt_count) AS attempts
    FROM analytics.invoices
    WHERE status = 'open' AND amount_remaining > 0
    GROUP BY workspace_id, provider, customer_id, currency
) AS owing
LEFT JOIN analytics.customers AS c
    ON (c.workspace_id, c.provider, c.id) = (owing.workspace_id, owing.provider, owing.customer_id)
ORDER BY owing.currency, owing.owed DESC
