-- How many units of each product active subscriptions have, by how often they are billed.
SELECT coalesce(p.name, bought.product_id) AS product, pr.recurring_interval, pr.recurring_interval_count, bought.currency,
       sum(bought.items) AS items, sum(bought.units) AS units
FROM (
    SELECT si.workspace_id, si.provider, si.product_id, si.price_id, si.currency, count(*) AS items, sum(si.quantity) AS units
    FROM analytics.subscription_items AS si
    JOIN analytics.subscriptions AS s
        ON (s.workspace_id, s.provider, s.id) = (si.workspace_id, si.provider, si.subscription_id)
    WHERE s.status IN ('active', 'past_due')
    GROUP BY si.workspace_id, si.provider, si.product_id, si.price_id, si.currency
) AS bought
LEFT JOIN analytics.prices AS pr
    ON (pr.workspace_id, pr.provider, pr.id) = (bought.workspace_id, bought.provider, bought.price_id)
LEFT JOIN analytics.products AS p
    ON (p.workspace_id, p.provider, p.id) = (bought.workspace_id, bought.provider, bought.product_id)
GROUP BY product, pr.recurring_interval, pr.recurring_interval_count, bought.currency
ORDER BY units DESC NULLS LAST
