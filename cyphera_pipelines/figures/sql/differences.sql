-- What is kept and what was built, where they differ.
CREATE TEMPORARY TABLE built_differences ON COMMIT DROP AS
SELECT
    coalesce(built.subscription_id, kept.subscription_id) AS subscription_id,
    coalesce(built.item_id, kept.item_id) AS item_id,
    coalesce(built.occurrence, kept.occurrence) AS occurrence,
    coalesce(built.valid_from, kept.valid_from) AS valid_from,
    built.subscription_id IS NULL AS is_gone, built.customer_id, kept.customer_id AS customer_before
FROM built_result AS built
FULL JOIN (
    SELECT * FROM figures.subscription_mrr
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND {in_scope}
) AS kept USING (subscription_id, item_id, occurrence, valid_from)
WHERE built.subscription_id IS NULL OR kept.subscription_id IS NULL
    OR ROW({built_contents}) IS DISTINCT FROM ROW({kept_contents})
