"""How workers are operated: several processes under one, their memory, what they tell a monitor, and fresh code."""
