"""The rules of the house as checks: each takes sources and returns a line for each thing that breaks it."""
