"""The training run: a supervisor that owns the run folder, and a worker that holds the engine."""
