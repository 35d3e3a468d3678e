"""The views for analysts: one file of SQL each, in `sql/`, and what keeps a database in step with them.

`analytics` holds live data, `analytics_test` the same views of the provider's test mode: whoever asks for one can never
mix it up with the other. A file that does not name the mode is a view of `analytics` alone.
"""
