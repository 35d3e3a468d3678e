-- The ten customers of each currency who paid most.
SELECT ranked.currency, ranked.place, ranked.customer_id, c.name, ranked.paid
FROM (
    SELECT workspace_id, provider, currency, customer_id, paid,
           row_number() OVER (PARTITION BY currency ORDER BY paid DESC, customer_id) AS place
    FROM analytics.customer_revenue
) AS ranked
LEFT JOIN analytics.customers AS c
    ON (c.workspace_id, c.provider, c.id) = (ranked.workspace_id, ranked.provider, ranked.customer_id)
WHERE ranked.place <= 10
ORDER BY ranked.currency, ranked.place
