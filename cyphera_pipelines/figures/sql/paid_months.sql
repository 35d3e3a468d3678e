-- When the invoices of each month were paid.
CREATE TEMPORARY TABLE built_paid_months ON COMMIT DROP AS
SELECT currency, month, paid_month, invoices, paid FROM built_billed_invoices WHERE paid_month IS NOT NULL
