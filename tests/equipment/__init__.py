"""A site with one device of each kind, each a program of somebody else, and what goes wrong with it."""
