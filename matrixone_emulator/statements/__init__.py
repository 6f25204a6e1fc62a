"""Ordinary SQL statements carried out: DDL, DML, SHOW, CLONE, accounts."""
