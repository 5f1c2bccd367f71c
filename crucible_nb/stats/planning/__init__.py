"""Planning: power, sample sizes, preregistered plans, and the cost of further items."""
