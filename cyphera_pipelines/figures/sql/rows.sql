-- What each item brings in a month, by slice: what is left of a bill after discounts, without the tax that it contains,
-- times the fraction of its interval, rounded once, half to even.
CREATE TEMPORARY TABLE built_rows ON COMMIT DROP AS
SELECT
    item.subscription_id, item.item_id, item.occurrence, item.valid_from, item.valid_to, item.customer_id,
    item.currency, item.status, item.price_id, item.product_id, item.quantity, item.recurring_interval,
    CAST(item.recurring_interval_count AS bigint) AS recurring_interval_count, trim_scale(item.gross) AS gross,
    CASE WHEN item.left_out_by IS NULL THEN trim_scale(item.gross - item.remaining) END AS discounted,
    CASE WHEN item.left_out_by IS NULL THEN
        trim_scale(round(item.remaining - item.remaining * tax.numerator / tax.denominator, 12))
    END AS taxed,
    CASE WHEN item.left_out_by IS NULL AND item.remaining > 0 THEN
        CAST(coalesce(floored.whole + CASE
            WHEN 2 * (exact.numerator - floored.whole * exact.denominator) > exact.denominator
                OR (2 * (exact.numerator - floored.whole * exact.denominator) = exact.denominator
                    AND mod(floored.whole, 2) = 1) THEN 1
            ELSE 0
        END, 0) AS bigint)
    ELSE 0 END AS mrr,
    item.left_out_by, item.ends_at,
    CASE WHEN item.discounts = CAST('[]' AS jsonb) THEN item.steps
        ELSE coalesce(item.steps, '{}') || jsonb_build_object('discounts', item.discounts) END AS steps,
    CASE WHEN item.is_before AND item.first_at - before.starts_at > interval '1 day' THEN 'reconstructed'
        ELSE 'observed' END AS provenance,
    item.left_out_by IS NULL AND (item.is_estimated OR tax.is_estimated) AS is_estimated,
    item.is_before
FROM built_items AS item
JOIN (SELECT subscription_id, min(starts_at) AS starts_at FROM built_states GROUP BY subscription_id) AS before
    USING (subscription_id)
LEFT JOIN built_line_taxes AS taxed
    ON taxed.subscription_id = item.subscription_id AND taxed.item_id = item.item_id
    AND item.tax_rates = CAST('[]' AS jsonb) AND item.tax_behavior IS DISTINCT FROM 'exclusive'
CROSS JOIN LATERAL (
    SELECT sum(percentage) FILTER (WHERE inclusive AND of_item IS NOT NULL) AS of_item,
        sum(percentage) FILTER (WHERE inclusive AND of_item IS NULL) AS of_subscription,
        count(of_item) AS own
    FROM jsonb_to_recordset(item.tax_rates) AS rate (subscription_item_id text, percentage numeric, inclusive boolean)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN subscription_item_id = item.item_id THEN subscription_item_id END AS of_item
    ) AS place
    WHERE subscription_item_id IS NULL OR subscription_item_id = item.item_id
) AS rates
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN :inclusive_tax = 'keep' THEN 1
            WHEN taxed.tax IS NOT NULL THEN taxed.base - taxed.tax
            ELSE 100
        END AS numerator,
        CASE
            WHEN :inclusive_tax = 'keep' THEN 1
            WHEN taxed.tax IS NOT NULL THEN taxed.base
            ELSE 100 + greatest(coalesce(CASE WHEN rates.own > 0 THEN rates.of_item ELSE rates.of_subscription END, 0), 0)
        END AS denominator,
        taxed.tax IS NOT NULL AND :inclusive_tax = 'remove' AS is_estimated
) AS tax
CROSS JOIN LATERAL (
    SELECT item.remaining * tax.numerator * item.numerator AS numerator, tax.denominator * item.denominator
        AS denominator
) AS exact
CROSS JOIN LATERAL (SELECT div(exact.numerator, exact.denominator) AS whole) AS floored
WHERE item.valid_from < coalesce(item.valid_to, 'infinity')
