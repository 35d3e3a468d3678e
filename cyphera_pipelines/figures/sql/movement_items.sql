-- What each item of the customers in scope brought, by itself: the planner is to know how much that is.
CREATE TEMPORARY TABLE built_movement_items ON COMMIT DROP AS
SELECT
    subscription_id, item_id, occurrence, valid_from, valid_to, coalesce(customer_id, '') AS customer_id, currency,
    price_id, quantity, gross, discounted, taxed, mrr, left_out_by, provenance
FROM figures.subscription_mrr
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND currency IS NOT NULL
AND {customer_in_scope}
