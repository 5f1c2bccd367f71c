"""How many: power, sample sizes, and what the next items cost."""
