-- What each price costs now, in each of its currencies, in the shape in which the history holds prices.
CREATE TEMPORARY TABLE built_prices ON COMMIT DROP AS
WITH tiers AS (
    SELECT price_id, jsonb_agg(
        jsonb_build_object(
            'up_to', up_to,
            'unit_amount_decimal', CAST(coalesce(unit_amount_decimal, unit_amount) AS text),
            'flat_amount_decimal', CAST(coalesce(flat_amount_decimal, flat_amount) AS text)
        ) ORDER BY tier_index
    ) AS tiers
    FROM payments.price_tiers
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND deleted_at IS NULL
    GROUP BY price_id
), priced AS (
    SELECT price.*, tiers.tiers,
        -- Where the price does not tell, its item may, which is a product here.
        coalesce(
            price.recurring_usage_type, CASE WHEN product.raw ->> 'metered' = 'true' THEN 'metered' END
        ) AS usage_type
    FROM payments.prices AS price
    LEFT JOIN tiers ON tiers.price_id = price.id
    LEFT JOIN payments.products AS product
        ON product.workspace_id = :workspace_id AND product.provider = :provider AND product.livemode = :livemode
        AND product.id = price.product_id
    WHERE price.workspace_id = :workspace_id AND price.provider = :provider AND price.livemode = :livemode
)
SELECT
    id AS price_id, billed.currency, billed.is_own, product_id, type, recurring_interval, recurring_interval_count,
    usage_type,
    jsonb_build_object(
        'currency', billed.currency,
        'unit_amount_decimal', CAST(billed.unit_amount AS text),
        'billing_scheme', billing_scheme,
        'tiers_mode', tiers_mode,
        'type', type,
        'recurring_interval', recurring_interval,
        'recurring_interval_count', recurring_interval_count,
        'recurring_usage_type', usage_type,
        'transform_quantity_divide_by', transform_quantity_divide_by,
        'transform_quantity_round', transform_quantity_round,
        'tax_behavior', tax_behavior,
        'tiers', billed.tiers
    ) AS terms
FROM priced
CROSS JOIN LATERAL (
    SELECT priced.currency, true AS is_own, coalesce(priced.unit_amount_decimal, priced.unit_amount) AS unit_amount,
        priced.tiers
    UNION ALL
    SELECT option.currency, false, coalesce(option.unit_amount_decimal, option.unit_amount),
        CASE jsonb_typeof(option.tiers) WHEN 'array' THEN option.tiers END
    FROM payments.price_currency_options AS option
    WHERE option.workspace_id = :workspace_id AND option.provider = :provider AND option.livemode = :livemode
    AND option.price_id = priced.id AND option.currency <> priced.currency AND option.deleted_at IS NULL
) AS billed
