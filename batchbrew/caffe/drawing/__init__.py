"""A directed graph: as text for Graphviz, and as a picture where Graphviz is not installed."""
