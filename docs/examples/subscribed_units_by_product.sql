-- How many units of each product active subscriptions have, by how often they are billed.
SELECT coalesce(p.name, si.product_id) AS product, pr.recurring_interval, pr.recurring_interval_count, si.currency,
       count(DISTINCT (si.workspace_id, si.provider, si.subscription_id)) AS subscriptions, sum(si.quantity) AS units
FROM analytics.subscription_items AS si
JOIN analytics.subscriptions AS s
    ON (s.workspace_id, s.provider, s.id) = (si.workspace_id, si.provider, si.subscription_id)
LEFT JOIN analytics.prices AS pr ON (pr.workspace_id, pr.provider, pr.id) = (si.workspace_id, si.provider, si.price_id)
LEFT JOIN analytics.products AS p
    ON (p.workspace_id, p.provider, p.id) = (si.workspace_id, si.provider, si.product_id)
WHERE s.status IN ('active', 'past_due')
GROUP BY product, pr.recurring_interval, pr.recurring_interval_count, si.currency
ORDER BY units DESC NULLS LAST
