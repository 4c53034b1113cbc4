"""What the torch engine does on a GPU, part by part, each in a process of its own; scripts/gpu_check.sh runs it."""
