"""Execution of ordinary SQL statements: DDL, DML, SHOW, CLONE, accounts."""
