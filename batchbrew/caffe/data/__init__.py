"""What data layers share: where records lie, in which order they come, how they become batches."""
