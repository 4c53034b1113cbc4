"""Solvers: Caffe's training loop, its six update rules, snapshots and log."""
