INSERT INTO figures.subscription_mrr (workspace_id, provider, livemode, {columns})
SELECT :workspace_id, :provider, :livemode, {columns}
FROM built_result
WHERE (subscription_id, item_id, occurrence, valid_from) IN (
    SELECT subscription_id, item_id, occurrence, valid_from FROM built_differences WHERE NOT is_gone
)
{on_conflict}
