"""What released networks consist of, as tables of ours: a layer a line (`lines` says how)."""
