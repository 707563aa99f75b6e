"""CUDA: passes as kernels in CUDA C, products by cuBLAS, and whole programs as graphs that are captured once."""
