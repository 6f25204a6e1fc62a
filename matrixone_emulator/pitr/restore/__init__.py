"""RESTORE ... FROM PITR.

docs/server.md, RESTORE; What may restore what; Times of RESTORE.

`statement` runs one: it finds the PITR, asks `checks` in the server's order, and has `objects` put
tables, databases or accounts back.
"""
