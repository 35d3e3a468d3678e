-- Of each item, what part of its last taxed bill was tax that its price contained.
CREATE TEMPORARY TABLE built_line_taxes ON COMMIT DROP AS
SELECT DISTINCT ON (subscription_id, item_id) subscription_id, item_id, tax, base
FROM (
    SELECT
        subscription_id, coalesce(subscription_item_id, price_id) AS item_id, period_start, invoice_id,
        id, occurrence,
        (
            SELECT sum(CAST(tax ->> 'amount' AS numeric)) FILTER (WHERE jsonb_typeof(tax -> 'amount') = 'number')
            FROM jsonb_array_elements(taxes) AS tax
            WHERE tax ->> 'tax_behavior' = 'inclusive'
        ) AS tax,
        amount - coalesce((
            SELECT sum(CAST(off ->> 'amount' AS numeric)) FILTER (WHERE jsonb_typeof(off -> 'amount') = 'number')
            FROM jsonb_array_elements(CASE jsonb_typeof(discount_amounts) WHEN 'array' THEN discount_amounts END) AS off
        ), 0) AS base
    FROM payments.invoice_line_items
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND deleted_at IS NULL
    AND taxes @> CAST('[{"tax_behavior": "inclusive"}]' AS jsonb) AND amount > 0 AND {in_scope}
) AS line
WHERE tax > 0 AND base > tax
ORDER BY subscription_id, item_id, period_start DESC, invoice_id DESC, id DESC, occurrence
