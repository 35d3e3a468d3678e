DELETE FROM figures.subscription_mrr AS kept
USING built_differences AS gone
WHERE kept.workspace_id = :workspace_id AND kept.provider = :provider AND kept.livemode = :livemode AND gone.is_gone
AND kept.subscription_id = gone.subscription_id AND kept.item_id = gone.item_id
AND kept.occurrence = gone.occurrence AND kept.valid_from = gone.valid_from
