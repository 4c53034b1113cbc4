"""Data sets: photographs into LMDBs of Datum, and back."""
