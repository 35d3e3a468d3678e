INSERT INTO figures.{table} (workspace_id, provider, livemode, {columns})
SELECT :workspace_id, :provider, :livemode, {columns}
FROM built_{table} AS built
WHERE NOT EXISTS (
    SELECT FROM figures.{table} AS kept
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
    AND ({kept_key}) = ({built_key}) AND ROW({kept_values}) IS NOT DISTINCT FROM ROW({built_values})
)
ON CONFLICT (workspace_id, provider, livemode, {key}) DO UPDATE SET {assignments}
