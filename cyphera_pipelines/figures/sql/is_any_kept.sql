SELECT EXISTS (
    SELECT FROM figures.{table}
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
)
