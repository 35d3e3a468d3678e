-- What each subscription was, with the time for which each state holds.
-- A state that tells when it came about counts from then on, and takes the place of what earlier ones said of that
-- time. `is_before` is the time from the subscription's start to the first state that is known.
CREATE TEMPORARY TABLE built_states ON COMMIT DROP AS
WITH differing AS (
    SELECT *,
        row_number() OVER states AS state,
        lag(status) OVER states AS status_before,
        lag(canceled_at) OVER states AS canceled_before
    FROM (
        SELECT
            subscription_id, held_at, coalesce(customer_id, '') AS customer_id, status, currency,
            coalesce(start_date, created) AS starts_at, trial_end, canceled_at, ended_at, is_gone,
            CASE
                WHEN ended_at IS NOT NULL OR status = 'canceled' THEN NULL
                WHEN cancel_at IS NOT NULL THEN cancel_at
                WHEN cancel_at_period_end THEN (
                    SELECT to_timestamp(max(CAST(item ->> 'current_period_end' AS numeric)))
                    FROM jsonb_array_elements(items) AS item
                )
            END AS ends_at,
            pause_collection_behavior AS pause_behavior, pause_collection_resumes_at AS resumes_at,
            items, discounts, tax_rates
        FROM built_changes JOIN payments.subscription_history USING (subscription_id, held_at)
        WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
    ) AS told
    WINDOW states AS (PARTITION BY subscription_id ORDER BY held_at)
), effective AS (
    SELECT *, CASE
        WHEN ended_at IS NOT NULL OR status = 'canceled' THEN
            CASE WHEN :cancel_at_period_end = 'at_request' THEN least(canceled_at, ended_at, held_at)
            ELSE coalesce(ended_at, least(canceled_at, held_at)) END
        WHEN is_gone THEN held_at
        WHEN status_before = 'trialing' AND status <> 'trialing' AND trial_end <= held_at THEN trial_end
        WHEN status_before = 'scheduled' AND status <> 'scheduled' AND starts_at <= held_at THEN starts_at
        WHEN :cancel_at_period_end = 'at_request' AND ends_at IS NOT NULL
            AND canceled_at IS DISTINCT FROM canceled_before THEN least(canceled_at, held_at)
        ELSE held_at
    END AS effective_at
    FROM differing
), lasting AS (
    SELECT *,
        min(effective_at) OVER (
            PARTITION BY subscription_id ORDER BY state ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS effective_to,
        min(effective_at) OVER (PARTITION BY subscription_id) AS first_at
    FROM effective
)
SELECT
    subscription_id, state, is_before, valid_from, valid_to, first_at, customer_id, status, currency, starts_at,
    trial_end, canceled_at, ended_at, is_gone, ends_at, pause_behavior, resumes_at, items, discounts, tax_rates
FROM lasting
CROSS JOIN LATERAL (
    SELECT false AS is_before, effective_at AS valid_from, effective_to AS valid_to
    UNION ALL
    SELECT true, starts_at, first_at WHERE state = 1
) AS time
WHERE valid_from < coalesce(valid_to, 'infinity') AND valid_from <= :as_of
