-- Takes the discount at one place off the items that it is for. An amount is shared among them by what is left of each,
-- in whole minor units: what cannot be shared evenly goes to the largest remainders.
WITH meant AS (
    SELECT item.ctid AS place_of_item, item.slice, item.item_id, item.occurrence, item.remaining, applied.discount_on,
        applied.coupon_id, applied.kind, applied.percent_off, applied.amount_off, applied.currency, applied.duration,
        CASE
            WHEN applied.left_out_by IS NOT NULL THEN applied.left_out_by
            WHEN applied.kind = 'amount' AND applied.currency IS DISTINCT FROM item.currency THEN 'currency'
            WHEN applied.product_ids IS NOT NULL AND applied.product_ids ? item.product_id IS NOT TRUE THEN 'product'
        END AS left_out_by
    FROM built_items AS item
    JOIN built_applied AS applied ON applied.slice = item.slice AND applied.place = :place
        AND (applied.item_id IS NULL OR applied.item_id = item.item_id)
    WHERE item.left_out_by IS NULL AND item.gross IS NOT NULL
), shared AS (
    SELECT *,
        sum(remaining) OVER (PARTITION BY slice, left_out_by) AS total,
        CASE WHEN sum(remaining) OVER (PARTITION BY slice, left_out_by) > amount_off THEN
            div(amount_off * remaining, sum(remaining) OVER (PARTITION BY slice, left_out_by))
        END AS share
    FROM meant
), ranked AS (
    SELECT *,
        amount_off - sum(share) OVER (PARTITION BY slice, left_out_by) AS left_over,
        row_number() OVER (
            PARTITION BY slice, left_out_by ORDER BY amount_off * remaining - share * total DESC, item_id, occurrence
        ) AS rank
    FROM shared
), taken AS (
    SELECT *, CASE
        WHEN left_out_by IS NOT NULL THEN 0
        WHEN kind = 'percent' THEN remaining * percent_off * 0.01
        WHEN share IS NULL THEN remaining
        ELSE least(share + CASE WHEN rank <= left_over THEN 1 ELSE 0 END, remaining)
    END AS amount
    FROM ranked
)
UPDATE built_items AS item SET
    remaining = item.remaining - coalesce(taken.amount, 0),
    is_estimated = item.is_estimated OR taken.left_out_by IS NOT DISTINCT FROM 'unknown_terms',
    discounts = item.discounts || jsonb_strip_nulls(jsonb_build_object(
        'on', discount_on,
        'coupon_id', coupon_id,
        'kind', kind,
        'percent_off', CAST(trim_scale(percent_off) AS text),
        'amount_off', CAST(trim_scale(amount_off) AS text),
        'currency', taken.currency,
        'duration', duration,
        'amount', CAST(trim_scale(coalesce(taken.amount, 0)) AS text),
        'left_out_by', taken.left_out_by
    ))
FROM taken WHERE item.ctid = taken.place_of_item
