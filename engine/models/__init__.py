"""Models: roles, prices, token estimates and the embedded answerer."""
