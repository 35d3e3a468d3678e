"""Who may do what in the database, in one place: roles, grants and policies.

`matrix` declares it, `apply` brings a database in step with it, which every `cyphera db upgrade` does after the
migrations: these need no grants of their own, and a restored dump gets back what it lacks.
"""
