"""Networks: a network is a function that returns a NetParameter."""
