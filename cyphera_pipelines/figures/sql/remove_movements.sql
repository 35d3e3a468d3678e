DELETE FROM figures.mrr_movements AS kept
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND {customer_in_scope}
AND NOT EXISTS (
    SELECT FROM built_movements AS built
    WHERE built.customer_id = kept.customer_id AND built.currency = kept.currency AND built.day = kept.day
)
