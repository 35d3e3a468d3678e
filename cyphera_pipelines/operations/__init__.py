"""What lies between a caller and an account's operations: what is declared, what is sent once, and what became of it.

`asked` is what somebody wants, `gate` refuses what a provider does not declare, `preparing` and `reading` call the
provider's operations. `carrying_out` keeps a write as a row before it is sent, `settling` finds out what became of one
of which no answer came, `concluding` writes that down with what the answer says of the tables (`merging`).
"""
