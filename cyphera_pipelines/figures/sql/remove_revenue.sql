DELETE FROM figures.{table} AS kept
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND {in_scope}
AND NOT EXISTS (SELECT FROM built_{table} AS built WHERE ({built_key}) = ({kept_key}))
