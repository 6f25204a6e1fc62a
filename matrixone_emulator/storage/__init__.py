"""One sqlite file: versions of tables and rows, locks, what transactions leave behind."""
