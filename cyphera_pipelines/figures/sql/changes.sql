-- Which states differ from the one before in what counts. Every renewal is a state, whose periods alone are others.
CREATE TEMPORARY TABLE built_changes ON COMMIT DROP AS
SELECT subscription_id, held_at
FROM (
    SELECT subscription_id, held_at, said, lag(said) OVER (PARTITION BY subscription_id ORDER BY held_at) AS said_before
    FROM (
        SELECT subscription_id, held_at, hash_record_extended(
            ROW(customer_id, status, currency, created, start_date, trial_end, canceled_at, cancel_at,
                cancel_at_period_end, ended_at, is_gone, pause_collection_behavior, pause_collection_resumes_at,
                -- Of one item as text, which is quicker than to make it anew without the period, or to hash JSON.
                items -> 0 ->> 'id', items -> 0 ->> 'occurrence', items -> 0 ->> 'price_id',
                items -> 0 ->> 'product_id', items -> 0 ->> 'currency', items -> 0 ->> 'unit_amount_decimal',
                items -> 0 ->> 'quantity', items -> 0 ->> 'created', items -> 0 -> 'price',
                -- A subquery would be left to the leader.
                CASE WHEN jsonb_array_length(items) <> 1 THEN
                    jsonb_build_array(
                        jsonb_path_query_array(items, '$[*].id'),
                        jsonb_path_query_array(items, '$[*].occurrence'),
                        jsonb_path_query_array(items, '$[*].price_id'),
                        jsonb_path_query_array(items, '$[*].product_id'),
                        jsonb_path_query_array(items, '$[*].currency'),
                        jsonb_path_query_array(items, '$[*].unit_amount_decimal'),
                        jsonb_path_query_array(items, '$[*].quantity'),
                        jsonb_path_query_array(items, '$[*].created'),
                        jsonb_path_query_array(items, '$[*].price')
                    )
                END,
                discounts, tax_rates), 0
        ) AS said
        FROM payments.subscription_history
        WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND {in_scope}
        -- Ordered here, it is computed once for each row, and by workers.
        ORDER BY subscription_id, held_at
    ) AS hashed
) AS compared
WHERE said IS DISTINCT FROM said_before
