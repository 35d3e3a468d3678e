"""Everything that Dagster sees: partitions, assets, checks, jobs, sensors, resources and the instance's storage."""
