-- Products: what is sold, active or not.
-- Grain: one row per product that the provider has.
-- Key: workspace_id, provider, id.
-- Rules: one mode only; nothing that is gone at the provider.
SELECT
    workspace_id,
    provider,
    id,
    created,
    updated,
    name,
    active,
    description,
    type,
    default_price_id,
    unit_label,
    statement_descriptor,
    tax_code_id,
    shippable,
    url,
    metadata,
    synced_at
FROM payments.products
WHERE livemode = :livemode AND deleted_at IS NULL
