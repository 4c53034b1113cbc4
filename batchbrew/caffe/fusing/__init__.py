"""Layers that are computed at once, where nothing else looks at the blobs between them."""
