-- Tax rates of subscriptions and of their items.
-- Grain: one row per tax rate of each subscription that the provider has.
-- Key: workspace_id, provider, subscription_id, id, occurrence.
-- Rules: one mode only; nothing that is gone at the provider.
SELECT
    workspace_id,
    provider,
    id,
    subscription_id,
    subscription_item_id,
    position,
    tax_rate_id,
    display_name,
    percentage,
    inclusive,
    country,
    jurisdiction,
    synced_at,
    occurrence
FROM payments.subscription_tax_rates
WHERE livemode = :livemode AND deleted_at IS NULL
