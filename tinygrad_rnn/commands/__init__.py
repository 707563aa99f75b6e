"""What the commands of `tinygrad-rnn` do."""
