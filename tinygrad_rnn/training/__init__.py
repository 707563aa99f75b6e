"""Training: batches in, weights changed, what was seen on the way."""
