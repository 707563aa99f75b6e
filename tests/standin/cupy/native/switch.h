// Going from one stack to another: by a few instructions where they are known, else by ucontext.
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)

typedef void* StandinPlace;  // the top of the stack that was left, on which the registers lie

extern "C" __attribute__((visibility("hidden"))) void standin_swap(void** left, void* entered);
__asm__(R"(
.text
.hidden standin_swap
.globl standin_swap
standin_swap:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

static inline void standin_switch(StandinPlace& left, StandinPlace& entered) { standin_swap(&left, entered); }

static inline void standin_begin(StandinPlace& place, char* stack, size_t room, void (*entry)()) {
    void** top = (void**)((uintptr_t)(stack + room) & ~(uintptr_t)15);
    *--top = nullptr;  // where entry would return to
    *--top = (void*)entry;
    for (int k = 0; k < 6; k++) *--top = nullptr;
    place = top;
}

#else

#include <ucontext.h>

typedef ucontext_t StandinPlace;

static inline void standin_switch(StandinPlace& left, StandinPlace& entered) { swapcontext(&left, &entered); }

static inline void standin_begin(StandinPlace& place, char* stack, size_t room, void (*entry)()) {
    getcontext(&place);
    place.uc_stack.ss_sp = stack;
    place.uc_stack.ss_size = room;
    place.uc_link = nullptr;
    makecontext(&place, entry, 0);
}

#endif
