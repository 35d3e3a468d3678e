-- Which discounts apply to each slice, in the order in which they are taken off: an item's own, then the
-- subscription's, or the customer's where the subscription has none that counts.
CREATE TEMPORARY TABLE built_applied ON COMMIT DROP AS
WITH own AS (
    SELECT slice, discount.*
    FROM built_slices AS part
    JOIN built_discounts AS discount USING (subscription_id, state, is_before)
    WHERE part.left_out_by IS NULL AND applies_from <= part.valid_from AND part.valid_from < applies_to
), of_customer AS (
    SELECT slice, discount.*
    FROM built_slices AS part
    JOIN built_discounts AS discount ON discount.customer_id = part.customer_id
    WHERE part.left_out_by IS NULL AND applies_from <= part.valid_from AND part.valid_from < applies_to
    AND NOT EXISTS (
        SELECT FROM own
        WHERE own.slice = part.slice AND own.discount_on = 'subscription' AND own.left_out_by IS NULL
    )
)
SELECT
    slice, discount_on, item_id, coupon_id, kind, percent_off, amount_off, currency, duration, product_ids, left_out_by,
    row_number() OVER (PARTITION BY slice ORDER BY discount_on <> 'item', item_id, position, coupon_id) AS place
FROM (
    SELECT slice, discount_on, item_id, coupon_id, kind, percent_off, amount_off, currency, duration, product_ids,
        left_out_by, position
    FROM own
    UNION ALL
    SELECT slice, discount_on, item_id, coupon_id, kind, percent_off, amount_off, currency, duration, product_ids,
        left_out_by, position
    FROM of_customer
) AS applying
