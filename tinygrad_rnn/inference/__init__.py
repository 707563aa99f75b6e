"""What equations leave unsaid: which names are inputs and weights, their indices, ranks and sizes."""
