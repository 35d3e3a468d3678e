INSERT INTO figures.mrr_movements (workspace_id, provider, livemode, {columns})
SELECT :workspace_id, :provider, :livemode, {columns}
FROM built_movements AS built
WHERE NOT EXISTS (
    SELECT FROM figures.mrr_movements AS kept
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
    AND kept.customer_id = built.customer_id AND kept.currency = built.currency AND kept.day = built.day
    AND ROW({kept_columns}) IS NOT DISTINCT FROM ROW({built_columns})
)
{on_conflict}
