-- How each customer's sum moved, by day: what each item's change brought, and by the largest of the same direction the
-- reason.
CREATE TEMPORARY TABLE built_movements ON COMMIT DROP AS
WITH followed AS (
    SELECT *,
        lag(valid_to) OVER item = valid_from AS has_before,
        lead(valid_from) OVER item = valid_to AS has_next,
        lag(mrr) OVER item AS mrr_before,
        lag(price_id) OVER item AS price_before,
        lag(quantity) OVER item AS quantity_before,
        lag(gross) OVER item AS gross_before,
        lag(discounted) OVER item AS discounted_before,
        lag(taxed) OVER item AS taxed_before,
        lag(left_out_by) OVER item AS left_out_before,
        lag(provenance) OVER item AS provenance_before,
        lead(valid_from) OVER item > valid_to AND lead(left_out_by) OVER item IS NULL AS goes_on_later,
        min(valid_from) OVER subscription AS subscription_from,
        max(CASE WHEN left_out_by IS NULL THEN coalesce(valid_to, 'infinity') END) OVER subscription AS counts_until,
        row_number() OVER item AS number
    FROM built_movement_items
    WINDOW
        item AS (PARTITION BY subscription_id, item_id, occurrence, customer_id, currency ORDER BY valid_from),
        subscription AS (PARTITION BY subscription_id, customer_id, currency)
), changes AS (
    SELECT customer_id, currency, valid_from AS moment, mrr - CASE WHEN has_before THEN mrr_before ELSE 0 END AS change,
        CASE
            WHEN has_before AND left_out_by IS NULL AND left_out_before IS NULL THEN
                CASE
                    WHEN price_id IS DISTINCT FROM price_before THEN 'price'
                    WHEN quantity IS DISTINCT FROM quantity_before THEN 'quantity'
                    WHEN discounted <> discounted_before AND gross IS NOT DISTINCT FROM gross_before THEN
                        CASE WHEN discounted < discounted_before THEN 'discount_ended' ELSE 'discount' END
                    WHEN gross IS DISTINCT FROM gross_before THEN 'price'
                    WHEN taxed IS DISTINCT FROM taxed_before THEN 'tax'
                    ELSE 'price'
                END
            WHEN has_before AND left_out_by IS NULL THEN
                CASE left_out_before
                    WHEN 'trialing' THEN 'trial_converted'
                    WHEN 'paused' THEN 'resumed'
                    WHEN 'pause_collection' THEN 'resumed'
                    WHEN 'unpaid' THEN 'paid'
                    WHEN 'past_due' THEN 'paid'
                    WHEN 'incomplete' THEN 'new'
                    WHEN 'incomplete_expired' THEN 'new'
                    WHEN 'not_started' THEN 'new'
                    WHEN 'ended' THEN 'new'
                    WHEN 'gone' THEN 'new'
                    ELSE 'status'
                END
            WHEN has_before THEN
                CASE left_out_by
                    WHEN 'ended' THEN 'cancelled'
                    WHEN 'gone' THEN 'gone'
                    WHEN 'paused' THEN 'paused'
                    WHEN 'pause_collection' THEN 'paused'
                    WHEN 'unpaid' THEN 'unpaid'
                    WHEN 'past_due' THEN 'unpaid'
                    WHEN 'metered' THEN 'price'
                    WHEN 'one_time' THEN 'price'
                    ELSE 'status'
                END
            WHEN number > 1 THEN 'billed_again'
            WHEN valid_from = subscription_from THEN 'new'
            ELSE 'added_item'
        END AS cause,
        provenance = 'reconstructed' OR (has_before AND provenance_before = 'reconstructed' AND left_out_by IS NULL)
            AS is_reconstructed
    FROM followed
    UNION ALL
    SELECT customer_id, currency, valid_to, -mrr,
        CASE
            WHEN goes_on_later THEN 'not_billed'
            WHEN counts_until > valid_to THEN 'removed_item'
            ELSE 'cancelled'
        END,
        provenance = 'reconstructed'
    FROM followed WHERE valid_to IS NOT NULL AND has_next IS NOT TRUE
), causes AS (
    SELECT customer_id, currency, CAST(moment AT TIME ZONE 'UTC' AS date) AS day, cause, sum(change) AS change,
        bool_or(is_reconstructed) AS is_reconstructed
    FROM changes WHERE change <> 0
    GROUP BY 1, 2, 3, 4
), directed AS (
    SELECT *, sum(change) OVER (PARTITION BY customer_id, currency, day) AS net FROM causes
), days AS (
    SELECT customer_id, currency, day, net AS change, bool_or(is_reconstructed) AS is_reconstructed,
        (array_agg(cause ORDER BY sign(change) = sign(net) DESC, abs(change) DESC, cause))[1] AS cause,
        bool_or(change > 0 AND cause IN ('new', 'added_item'))
            AND bool_or(change < 0 AND cause IN ('cancelled', 'removed_item', 'gone')) AS is_migration
    FROM directed WHERE net <> 0
    GROUP BY 1, 2, 3, 4
), summed AS (
    SELECT *, sum(change) OVER (PARTITION BY customer_id, currency ORDER BY day) AS closing FROM days
), gaps AS (
    -- Times of which no bill tells, of subscriptions that go on.
    SELECT customer_id, currency, covered_to AS valid_from, next_from AS valid_to
    FROM (
        SELECT *,
            max(coalesce(valid_to, 'infinity')) OVER (
                subscription ORDER BY valid_from, left_out_by NULLS FIRST
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS covered_to,
            -- Of several that begin at once, one that counts is enough.
            lead(valid_from) OVER (subscription ORDER BY valid_from, left_out_by NULLS FIRST) AS next_from,
            lead(left_out_by) OVER (subscription ORDER BY valid_from, left_out_by NULLS FIRST) AS next_left_out_by
        FROM built_movement_items
        WINDOW subscription AS (PARTITION BY subscription_id, customer_id, currency)
    ) AS covered
    WHERE next_from > covered_to AND next_left_out_by IS NULL
), zeros AS (
    -- When a sum was 0: after the day, or before it.
    SELECT customer_id, currency, day,
        CAST(CASE WHEN closing = 0 THEN day + 1 ELSE day END AS timestamp) AT TIME ZONE 'UTC' AS at_zero
    FROM summed WHERE closing = 0 OR closing = change
), lives AS (
    SELECT customer_id, currency, valid_from, coalesce(valid_to, 'infinity') AS valid_to
    FROM built_movement_items
    WHERE CASE
        WHEN left_out_by IS NULL THEN :full_discount = 'contraction' OR mrr > 0
        WHEN left_out_by = 'paused' THEN :paused_status = 'contraction'
        ELSE left_out_by IN ('pause_collection', 'metered', 'trialing', 'past_due')
    END
    UNION ALL
    SELECT customer_id, currency, valid_from, valid_to FROM gaps
), living AS (
    SELECT DISTINCT customer_id, currency, day, true AS lives
    FROM zeros JOIN lives USING (customer_id, currency)
    WHERE valid_from < at_zero AND valid_to >= at_zero
), judged AS (
    SELECT summed.*, coalesce(lives, false) AS lives,
        lag(day) OVER (PARTITION BY customer_id, currency ORDER BY day) AS day_before
    FROM summed LEFT JOIN living USING (customer_id, currency, day)
), classed AS (
    SELECT *, CASE
        WHEN change > 0 AND closing = change AND day_before IS NULL THEN 'new'
        WHEN change > 0 AND closing = change AND NOT lives THEN 'reactivation'
        WHEN change > 0 THEN 'expansion'
        WHEN closing = 0 AND NOT lives THEN 'churn'
        ELSE 'contraction'
    END AS movement
    FROM judged
)
SELECT
    customer_id, currency, day, movement,
    CASE
        WHEN is_migration AND movement IN ('expansion', 'contraction') AND closing > 0 AND closing <> change
            THEN 'migration'
        WHEN movement = 'expansion' AND cause = 'new' AND closing <> change THEN 'added_subscription'
        WHEN movement = 'contraction' AND cause = 'cancelled' THEN 'one_of_several_cancelled'
        WHEN movement = 'new' AND cause = 'added_item' THEN 'new'
        ELSE cause
    END AS reason,
    CAST(closing - change AS bigint) AS opening, CAST(closing AS bigint) AS closing, CAST(change AS bigint) AS change,
    CASE WHEN movement = 'reactivation' THEN day - day_before END AS gap_days,
    CASE WHEN is_reconstructed THEN 'reconstructed' ELSE 'observed' END AS provenance
FROM classed
