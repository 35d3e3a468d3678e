-- Currencies, and how many decimals the minor units have that schema payments keeps amounts in.
-- Grain: one row per currency, and one more for each provider that counts it otherwise.
-- Key: provider, code.
-- Rules: provider is NULL for all who have no row of their own; ISO 4217 but for those.
-- Columns:
-- provider text: The provider that counts it so; NULL for all who have no row of their own
-- code text: Lower-case ISO code
-- exponent integer: How many decimals its minor unit has: 2 for eur
SELECT provider, code, exponent
FROM (VALUES :currencies) AS listed (provider, code, exponent)
