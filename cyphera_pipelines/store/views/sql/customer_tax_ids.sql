-- Tax ids of customers.
-- Grain: one row per tax id of each customer that the provider has.
-- Key: workspace_id, provider, customer_id, id, occurrence.
-- Rules: one mode only; nothing that is gone at the provider.
SELECT
    workspace_id,
    provider,
    id,
    customer_id,
    type,
    value,
    country,
    verification_status,
    created,
    synced_at,
    occurrence
FROM payments.customer_tax_ids
WHERE livemode = :livemode AND deleted_at IS NULL
