"""What requests change at Stripe: one file for each group of objects, as the documentation describes them.

`requests` is where a request comes in; `idempotency` keeps what was answered, `parameters` reads what was sent, and
`work` puts objects where they are listed and makes their provider events.
"""
