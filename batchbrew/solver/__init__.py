"""Solvers: learning-rate schedules, epochs turned into iterations, SolverParameter."""
