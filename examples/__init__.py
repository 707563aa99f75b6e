"""Examples: each is one short script that trains on real data, and `tinygrad-rnn examples` lists them."""
