"""RESTORE ... FROM PITR (matrixone.md, section 6).

`statement` runs one: it finds the PITR, asks `checks` in the server's order, and has `objects` put
tables, databases or accounts back.
"""
