-- The discounts on each state, and those on customers with the time for which each list holds: a list that is the first
-- one known holds for the time before, too.
CREATE TEMPORARY TABLE built_discounts ON COMMIT DROP AS
WITH lists AS (
    SELECT subscription_id, state, is_before, NULL AS customer_id, CAST('-infinity' AS timestamptz) AS listed_from,
        CAST('infinity' AS timestamptz) AS listed_to, discounts
    FROM built_states WHERE discounts <> CAST('[]' AS jsonb)
    UNION ALL
    SELECT NULL, NULL, NULL, customer_id,
        CASE WHEN row_number() OVER lists = 1 THEN CAST('-infinity' AS timestamptz) ELSE held_at END,
        lead(held_at, 1, CAST('infinity' AS timestamptz)) OVER lists, discounts
    FROM payments.customer_discount_history
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND {customer_in_scope}
    WINDOW lists AS (PARTITION BY customer_id ORDER BY held_at)
)
SELECT
    lists.subscription_id, lists.state, lists.is_before, lists.customer_id,
    CASE
        WHEN lists.customer_id IS NOT NULL THEN 'customer'
        WHEN told.subscription_item_id IS NOT NULL THEN 'item'
        ELSE 'subscription'
    END AS discount_on,
    told.subscription_item_id AS item_id, told.position, told.coupon_id, told.kind,
    CASE WHEN told.percent_off IS NOT NULL THEN greatest(least(told.percent_off, 100), 0) END AS percent_off,
    CASE WHEN told.amount_off IS NOT NULL THEN greatest(told.amount_off, 0) END AS amount_off, told.currency,
    told.duration, CASE jsonb_typeof(told.product_ids) WHEN 'array' THEN told.product_ids END AS product_ids,
    CASE
        WHEN told.duration = 'once' AND :once_coupons = 'ignore' THEN 'once_coupons'
        WHEN told.duration = 'repeating' AND :repeating_coupons = 'ignore' THEN 'repeating_coupons'
        WHEN coalesce(told.percent_off, told.amount_off) IS NULL THEN 'unknown_terms'
    END AS left_out_by,
    greatest(listed_from, to_timestamp(told.starts_at)) AS applies_from,
    least(
        listed_to,
        to_timestamp(told.ends_at),
        CASE WHEN told.ends_at IS NULL AND told.duration = 'repeating' THEN
            to_timestamp(told.starts_at) + greatest(least(told.duration_in_months, 12000), 0) * interval '1 month'
        END
    ) AS applies_to
FROM lists
CROSS JOIN LATERAL jsonb_to_recordset(lists.discounts) AS told (
    subscription_item_id text, position bigint, coupon_id text, kind text, percent_off numeric, amount_off numeric,
    currency text, duration text, duration_in_months double precision, starts_at double precision,
    ends_at double precision, product_ids jsonb
)
