-- What the lines of these months are worth, as analysts are told it.
CREATE TEMPORARY TABLE built_revenue_lines ON COMMIT DROP AS
SELECT
    coalesce(currency, '') AS currency, month, coalesce(product_id, '') AS product_id, price_id, customer_id, status,
    quantity, net, booked_on, service_from, service_until, ended_on
FROM {schema}.revenue_lines
CROSS JOIN LATERAL (SELECT CAST(date_trunc('month', CAST(booked_on AS timestamp)) AS date) AS month) AS told
WHERE workspace_id = :workspace_id AND provider = :provider AND {in_months}
