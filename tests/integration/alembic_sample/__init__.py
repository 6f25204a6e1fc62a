"""An ordinary Alembic project of ten revisions, a shop; nothing of MatrixOne's in it."""
