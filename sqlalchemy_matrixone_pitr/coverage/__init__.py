"""Which moments are kept, for which objects, and by what."""
