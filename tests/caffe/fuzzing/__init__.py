"""Damaged inputs for the engine: valid ones are mutated, used in a child process, and what came of it is judged."""
