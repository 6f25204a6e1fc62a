"""The PITR statements: CREATE, ALTER, DROP and SHOW PITR, recovery windows, RESTORE."""
