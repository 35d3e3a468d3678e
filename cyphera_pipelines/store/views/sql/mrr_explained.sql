-- How each subscription item's monthly recurring revenue came to be, step by step.
-- Grain: one row per step of each time without a change of each subscription item.
-- Key: workspace_id, provider, subscription_id, item_id, occurrence, valid_from, step.
-- Rules: one mode only; amounts in whole units of currency, NULL where that is none; the sum of `result` over steps of
-- kind mrr that hold at one moment is the customer's MRR then, for each currency.
-- Columns:
-- workspace_id, provider, customer_id, subscription_id
-- item_id text: Id of the subscription item
-- occurrence bigint: Tells items of one subscription and id apart
-- valid_from timestamptz: From when this held
-- valid_to timestamptz: Until when it did, exclusive; NULL while it does
-- currency
-- step bigint: The place of the step among those of the item, from 1 on
-- kind text: price, package, tier, discount, tax, factor, rounding, left_out and, last, mrr
-- label text: What is done, in words
-- rule text: Code of the rule by which something does not count, as in trialing or once_coupons; NULL where it does
-- quantity numeric: How many units the step is about
-- unit_amount numeric: What one unit costs, in whole units of `currency`
-- amount numeric: What the step adds, or takes off if it is below 0, in whole units of `currency`
-- result numeric: What there is after the step, in whole units of `currency`
-- provenance text: observed, or reconstructed from invoice lines
-- is_estimated boolean: Whether a part of it, as its tax, had to be estimated
WITH items AS (
    SELECT
        mrr.*,
        analytics.unit(provider, currency) AS unit,
        gross - discounted - taxed AS net,
        CASE recurring_interval WHEN 'day' THEN 365 WHEN 'week' THEN 52 WHEN 'month' THEN 1 WHEN 'year' THEN 1 END
            AS numerator,
        CASE recurring_interval WHEN 'month' THEN 1 ELSE CAST(12 AS numeric) END
            * greatest(recurring_interval_count, 1) AS denominator,
        greatest(recurring_interval_count, 1) AS intervals
    FROM figures.subscription_mrr AS mrr
    WHERE livemode = :livemode
),
steps AS (
    SELECT items.*, step.*
    FROM items
    CROSS JOIN LATERAL (
        SELECT 1 AS part, CAST(0 AS bigint) AS place, 'price' AS kind,
            CASE WHEN items.quantity IS NULL OR steps #> '{price,units}' IS NOT NULL
                THEN 'The amount of a bill before discounts'
                ELSE format('%s x %s', trim_scale(items.quantity), trim_scale(gross / nullif(items.quantity, 0) * unit) + 0 * unit)
            END AS label,
            CAST(NULL AS text) AS rule, items.quantity AS step_quantity,
            gross / nullif(items.quantity, 0) AS step_unit_amount, gross AS amount
        WHERE gross IS NOT NULL AND steps -> 'tiers' IS NULL AND steps #> '{price,divided_by}' IS NULL
        UNION ALL
        SELECT 1, 0, 'package',
            format(
                '%s in packages of %s, rounded %s: %s', trim_scale(items.quantity), steps #>> '{price,divided_by}',
                coalesce(steps #>> '{price,rounded}', 'up'), coalesce(steps #>> '{price,units}', '?')
            )
            || CASE WHEN steps -> 'tiers' IS NULL THEN
                format(' x %s', trim_scale(CAST(steps #>> '{price,unit_amount}' AS numeric) * unit) + 0 * unit)
                ELSE '' END,
            NULL, CAST(steps #>> '{price,units}' AS numeric), CAST(steps #>> '{price,unit_amount}' AS numeric),
            CASE WHEN steps -> 'tiers' IS NULL THEN gross ELSE 0 END
        WHERE gross IS NOT NULL AND steps #> '{price,divided_by}' IS NOT NULL
        UNION ALL
        SELECT 2, number, 'tier',
            format(
                '%s tier, %s: %s x %s', coalesce(steps #>> '{price,tiers_mode}', 'a'),
                CASE WHEN tier ->> 'up_to' IS NULL THEN format('from %s on', tier ->> 'from')
                    ELSE format('%s to %s', tier ->> 'from', tier ->> 'up_to') END,
                trim_scale(CAST(tier ->> 'quantity' AS numeric)),
                trim_scale(CAST(tier ->> 'unit_amount' AS numeric) * unit) + 0 * unit
            )
            || CASE WHEN CAST(tier ->> 'flat_amount' AS numeric) <> 0 THEN
                format(' + %s', trim_scale(CAST(tier ->> 'flat_amount' AS numeric) * unit) + 0 * unit) ELSE '' END,
            NULL, CAST(tier ->> 'quantity' AS numeric), CAST(tier ->> 'unit_amount' AS numeric),
            CAST(tier ->> 'amount' AS numeric)
        FROM jsonb_array_elements(steps -> 'tiers') WITH ORDINALITY AS listed (tier, number)
        WHERE gross IS NOT NULL
        UNION ALL
        SELECT 3, number, 'discount',
            format(
                'Coupon %s on the %s: %s%s', coalesce(discount ->> 'coupon_id', 'without an id'),
                coalesce(discount ->> 'on', 'subscription'),
                CASE
                    WHEN discount ->> 'percent_off' IS NOT NULL
                        THEN format('%s %% off', trim_scale(CAST(discount ->> 'percent_off' AS numeric)))
                    WHEN discount ->> 'amount_off' IS NOT NULL THEN format(
                        '%s %s off',
                        trim_scale(CAST(discount ->> 'amount_off' AS numeric)
                            * coalesce(analytics.unit(provider, discount ->> 'currency'), unit)) + 0 * unit,
                        coalesce(discount ->> 'currency', items.currency)
                    )
                    ELSE 'terms that are not known'
                END,
                CASE WHEN discount ->> 'left_out_by' IS NULL THEN '' ELSE ', which does not count' END
            ),
            discount ->> 'left_out_by', NULL, NULL, - CAST(discount ->> 'amount' AS numeric)
        FROM jsonb_array_elements(steps -> 'discounts') WITH ORDINALITY AS listed (discount, number)
        WHERE left_out_by IS NULL
        UNION ALL
        SELECT 4, 0, 'tax', 'Tax that the price contains', NULL, NULL, NULL, - taxed
        WHERE taxed <> 0 AND left_out_by IS NULL
        UNION ALL
        SELECT 5, 0, 'factor',
            CASE
                WHEN numerator IS NULL THEN 'A month''s share, by the length of the period'
                ELSE format(
                    'A bill for %s: x %s/%s',
                    CASE WHEN intervals = 1 THEN format('a %s', recurring_interval)
                        ELSE format('%s %ss', intervals, recurring_interval) END,
                    numerator, denominator
                )
            END,
            NULL, NULL, NULL,
            CASE WHEN numerator IS NULL THEN items.mrr - net ELSE net * numerator / denominator - net END
        WHERE left_out_by IS NULL AND net IS NOT NULL AND (numerator IS NULL OR numerator <> denominator)
        UNION ALL
        SELECT 6, 0, 'rounding', 'Rounded to the currency''s minor unit, half to even', NULL, NULL, NULL,
            items.mrr - net * numerator / denominator
        WHERE left_out_by IS NULL AND net IS NOT NULL AND numerator IS NOT NULL
            AND round(items.mrr - net * numerator / denominator, 9) <> 0
        UNION ALL
        SELECT 7, 0, 'left_out', format('Counts nothing: %s', replace(left_out_by, '_', ' ')), left_out_by, NULL, NULL,
            - coalesce(gross, 0)
        WHERE left_out_by IS NOT NULL
        UNION ALL
        SELECT 8, 0, 'mrr', 'Monthly recurring revenue', NULL, NULL, NULL, 0
    ) AS step
)
SELECT
    workspace_id,
    provider,
    customer_id,
    subscription_id,
    item_id,
    occurrence,
    valid_from,
    valid_to,
    currency,
    row_number() OVER item AS step,
    kind,
    label,
    rule,
    step_quantity AS quantity,
    trim_scale(step_unit_amount * unit) + 0 * unit AS unit_amount,
    trim_scale(round(amount, 12) * unit) + 0 * unit AS amount,
    CASE
        WHEN kind IN ('mrr', 'left_out', 'rounding') THEN mrr * unit
        ELSE trim_scale(round(sum(amount) OVER item, 12) * unit) + 0 * unit
    END AS result,
    provenance,
    is_estimated
FROM steps
WINDOW item AS (
    -- The customer, so that whoever asks for one does not have all others' counted.
    PARTITION BY workspace_id, provider, customer_id, subscription_id, item_id, occurrence, valid_from
    ORDER BY part, place
)
