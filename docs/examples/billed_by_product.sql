-- What was billed for each product in each month (UTC), before discounts of the whole invoice and exclusive tax.
SELECT date_trunc('month', i.created AT TIME ZONE 'UTC')::date AS month, coalesce(p.name, l.product_id, '(none)') AS product,
       l.currency, count(*) AS lines, sum(l.amount) AS billed
FROM analytics.invoice_line_items AS l
JOIN analytics.invoices AS i ON (i.workspace_id, i.provider, i.id) = (l.workspace_id, l.provider, l.invoice_id)
LEFT JOIN analytics.products AS p ON (p.workspace_id, p.provider, p.id) = (l.workspace_id, l.provider, l.product_id)
WHERE i.status IN ('open', 'paid', 'uncollectible')
GROUP BY month, product, l.currency
ORDER BY month DESC, billed DESC
