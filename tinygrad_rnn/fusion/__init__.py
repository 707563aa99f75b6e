"""From recorded calls to passes over memory: what compiled code, on whatever machine, does in one go.

Nothing here knows a compiler or a device; `jit` writes passes as LLVM code, `cuda` as CUDA C.
"""
