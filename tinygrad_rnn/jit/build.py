"""Writing LLVM code: byte pointers, loops, vectors, and values with Python's operators."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir

I64, I32, I8, I1 = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.IntType(1)
POINTER = ir.PointerType()
FLOATS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
KERNEL = ir.FunctionType(ir.VoidType(), [POINTER, I64])


def i64(value: int) -> ir.Constant:
    """A constant of the type that sizes and strides have."""
    return ir.Constant(I64, value)


class Builder:
    """One function being written: `b.ir` writes instructions; methods write what takes several."""

    def __init__(self, module: ir.Module, name: str, kind: ir.FunctionType = KERNEL):
        self.module = module
        self.function = ir.Function(module, kind, name)
        self.ir = ir.IRBuilder(self.function.append_basic_block())

    def finish(self) -> ir.Function:
        """End the function."""
        self.ir.ret_void()
        return self.function

    def load_i64(self, record: Any, k: int) -> Any:
        """Number k of a record."""
        return self.ir.load(self.ir.gep(record, [i64(k)], source_etype=I64), typ=I64, align=8)

    def offset(self, pointer: Any, by: Any) -> Any:
        """pointer moved by so many bytes."""
        return self.ir.gep(pointer, [by], source_etype=I8)

    @contextlib.contextmanager
    def loop(self, stop: Any, start: Any = None, step: int = 1) -> Iterator[Any]:
        """for i in range(start, stop, step): nothing is done where start is not below stop."""
        start = i64(0) if start is None else start
        before = self.ir.block
        body = self.function.append_basic_block()
        after = self.function.append_basic_block()
        self.ir.cbranch(self.ir.icmp_signed("<", start, stop), body, after)
        self.ir.position_at_end(body)
        i = self.ir.phi(I64)
        i.add_incoming(start, before)
        yield i
        following = self.ir.add(i, i64(step))
        i.add_incoming(following, self.ir.block)
        self.ir.cbranch(self.ir.icmp_signed("<", following, stop), body, after)
        self.ir.position_at_end(after)

    def choose(self, tests: list[tuple[Any, Callable[[], None]]], otherwise: Callable[[], None]) -> None:
        """if / elif / else."""
        if not tests:
            otherwise()
            return
        (condition, then), *rest = tests
        with self.ir.if_else(condition) as (yes, no):
            with yes:
                then()
            with no:
                self.choose(rest, otherwise)

    def intrinsic(self, name: str, kind: Any, *args: Any) -> Any:
        """A call of LLVM's own function of that name on values of one type.

        Such as fmuladd, x * y + z rounded once where the processor can; fma would call the C library where it cannot.
        """
        full = f"llvm.{name}.{_mangled(kind)}"
        found = self.module.globals.get(full)
        if found is None:
            found = ir.Function(self.module, ir.FunctionType(kind, [kind] * len(args)), full)
        return self.ir.call(found, args)

    def prefetch(self, where: Any) -> None:
        """Have the line of the cache at `where` fetched, which will be needed soon; no address is wrong."""
        full, kind = "llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), [POINTER, I32, I32, I32])
        found = self.module.globals.get(full) or ir.Function(self.module, kind, full)
        self.ir.call(found, [where, *(ir.Constant(I32, x) for x in (0, 3, 1))])  # to read, kept in all caches, data

    def splat(self, scalar: Any, lanes: int) -> Any:
        """A vector of `lanes` equal numbers."""
        kind = ir.VectorType(scalar.type, lanes)
        if isinstance(scalar, ir.Constant):
            return ir.Constant(kind, [scalar.constant] * lanes)
        one = self.ir.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(I32, 0))
        order = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        return self.ir.shuffle_vector(one, ir.Constant(kind, ir.Undefined), order)

    def sum(self, vector: Any) -> Any:
        """The sum of a vector's lanes, in whatever order is quick."""
        element = vector.type.element
        name = f"llvm.vector.reduce.fadd.{_mangled(vector.type)}"
        found = self.module.globals.get(name)
        if found is None:
            found = ir.Function(self.module, ir.FunctionType(element, [element, vector.type]), name)
        return self.ir.call(found, [ir.Constant(element, 0.0), vector], fastmath=("reassoc",))

    def mask(self, count: Any, lanes: int) -> Any:
        """A vector of truth values, true in the first `count` lanes."""
        order = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
        return self.ir.icmp_signed("<", order, self.splat(count, lanes))

    def load(self, pointer: Any, kind: Any, mask: Any = None) -> Any:
        """A vector from memory; zero where the mask is false."""
        if mask is None:
            return self.ir.load(pointer, typ=kind, align=1)
        name = f"llvm.masked.load.{_mangled(kind)}.p0"
        found = self.module.globals.get(name)
        bits = ir.VectorType(I1, kind.count)
        if found is None:
            found = ir.Function(self.module, ir.FunctionType(kind, [POINTER, I32, bits, kind]), name)
        return self.ir.call(found, [pointer, ir.Constant(I32, 1), mask, ir.Constant(kind, None)])

    def gather(self, addresses: Any, kind: Any, mask: Any) -> Any:
        """A vector from a vector of addresses; zero where the mask is false."""
        pointers = ir.VectorType(POINTER, kind.count)
        name = f"llvm.masked.gather.{_mangled(kind)}.v{kind.count}p0"
        found = self.module.globals.get(name)
        if found is None:
            found = ir.Function(self.module, ir.FunctionType(kind, [pointers, I32, mask.type, kind]), name)
        where = self.ir.inttoptr(addresses, pointers)
        return self.ir.call(found, [where, ir.Constant(I32, 1), mask, ir.Constant(kind, None)])

    def put(self, slot: Any, kind: Any, pointer: Any, adds: Any, mask: Any = None) -> None:
        """The vector in a slot to memory, where the mask is true; added to what is there, where `adds`."""
        with self.ir.if_then(adds):
            self.ir.store(self.ir.fadd(self.ir.load(slot, typ=kind), self.load(pointer, kind, mask)), slot)
        self.store(self.ir.load(slot, typ=kind), pointer, mask)

    def store(self, value: Any, pointer: Any, mask: Any = None) -> None:
        """A vector to memory, where the mask is true."""
        if mask is None:
            self.ir.store(value, pointer, align=1)
            return
        kind = value.type
        name = f"llvm.masked.store.{_mangled(kind)}.p0"
        found = self.module.globals.get(name)
        bits = ir.VectorType(I1, kind.count)
        if found is None:
            found = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [kind, POINTER, I32, bits]), name)
        self.ir.call(found, [value, pointer, ir.Constant(I32, 1), mask])


def _mangled(kind: Any) -> str:
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{_mangled(kind.element)}"
    return {"float": "f32", "double": "f64"}.get(str(kind), str(kind))
