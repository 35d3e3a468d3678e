-- States, cut where something that is known of them begins or ends by itself: trials, pauses, discounts, the
-- subscription. What is still to come is no cut.
CREATE TEMPORARY TABLE built_slices ON COMMIT DROP AS
WITH moments AS (
    SELECT subscription_id, state, is_before, moment
    FROM built_states
    CROSS JOIN LATERAL unnest(ARRAY[
        starts_at,
        CASE WHEN status = 'trialing' OR is_before THEN trial_end END,
        CASE WHEN pause_behavior IS NOT NULL THEN resumes_at END,
        ends_at
    ]) AS moment
    WHERE moment > valid_from AND moment < coalesce(valid_to, 'infinity') AND moment <= :as_of
    UNION
    SELECT subscription_id, state, is_before, moment
    FROM built_states
    JOIN built_discounts AS discount USING (subscription_id, state, is_before)
    CROSS JOIN LATERAL (VALUES (applies_from), (applies_to)) AS cut (moment)
    WHERE moment > valid_from AND moment < coalesce(valid_to, 'infinity') AND moment <= :as_of
    UNION
    SELECT state.subscription_id, state.state, state.is_before, moment
    FROM built_states AS state
    JOIN built_discounts AS discount ON discount.customer_id = state.customer_id
    CROSS JOIN LATERAL (VALUES (applies_from), (applies_to)) AS cut (moment)
    WHERE moment > valid_from AND moment < coalesce(valid_to, 'infinity') AND moment <= :as_of
    UNION
    SELECT subscription_id, state, is_before, valid_from FROM built_states
), cut AS (
    SELECT *, lead(moment) OVER (PARTITION BY subscription_id, state, is_before ORDER BY moment) AS next_moment
    FROM moments
)
SELECT
    row_number() OVER () AS slice, subscription_id, state, is_before, cut.moment AS valid_from,
    coalesce(cut.next_moment, held.valid_to) AS valid_to, first_at, customer_id, status, currency, starts_at, trial_end,
    is_gone, ends_at, items, discounts, tax_rates,
    CASE
        WHEN NOT is_before AND (ended_at IS NOT NULL OR status = 'canceled') THEN 'ended'
        WHEN NOT is_before AND is_gone THEN 'gone'
        WHEN status IN ('incomplete', 'incomplete_expired') THEN status
        WHEN status = 'scheduled' OR cut.moment < starts_at THEN 'not_started'
        WHEN ends_at <= cut.moment THEN 'ended'
        WHEN :cancel_at_period_end = 'at_request' AND ends_at IS NOT NULL AND NOT is_before THEN 'ended'
        WHEN (status = 'trialing' OR is_before) AND cut.moment < trial_end THEN
            CASE :trialing WHEN 'left_out' THEN 'trialing' END
        WHEN status = 'trialing' AND trial_end IS NULL THEN CASE :trialing WHEN 'left_out' THEN 'trialing' END
        WHEN status = 'unpaid' THEN CASE :unpaid WHEN 'churn' THEN 'unpaid' END
        WHEN status = 'past_due' AND :past_due = 'left_out' THEN 'past_due'
        WHEN status = 'paused' THEN CASE WHEN :paused_status <> 'counts' THEN 'paused' END
        WHEN pause_behavior IS NOT NULL AND cut.moment < coalesce(resumes_at, 'infinity')
            AND (:pause_collection = 'always' OR (:pause_collection = 'void' AND pause_behavior = 'void'))
            THEN 'pause_collection'
        WHEN status IN ('active', 'past_due', 'trialing', 'canceled') THEN NULL
        ELSE 'unknown_status'
    END AS left_out_by,
    -- A trial that ended and of which nothing was heard since.
    status = 'trialing' AND trial_end <= cut.moment AS is_estimated
FROM cut JOIN built_states AS held USING (subscription_id, state, is_before)
