-- The ten customers of each currency who paid most.
SELECT currency, place, customer_id, name, paid
FROM (
    SELECT i.currency, i.customer_id, c.name, sum(i.amount_paid) AS paid,
           row_number() OVER (PARTITION BY i.currency ORDER BY sum(i.amount_paid) DESC, i.customer_id) AS place
    FROM analytics.invoices AS i
    LEFT JOIN analytics.customers AS c
        ON (c.workspace_id, c.provider, c.id) = (i.workspace_id, i.provider, i.customer_id)
    WHERE i.status = 'paid'
    GROUP BY i.workspace_id, i.provider, i.currency, i.customer_id, c.name
) AS ranked
WHERE place <= 10
ORDER BY currency, place
