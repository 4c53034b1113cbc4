"""A source of pictures → an LMDB that is whole or not there, and can be gone on with after any interruption."""
