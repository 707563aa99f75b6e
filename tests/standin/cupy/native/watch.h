// What a thread may not do to memory. Under -fsanitize=thread GCC calls __tsan_... before each access; these are the
// functions that it calls.
//
// Accesses of two threads are in order where the threads of a block have waited for each other between them, or where
// blocks have: one waits for its threads, of which one then fences and adds atomically to a number, and a thread of the
// other sees that and fences, before its block waits for its threads. (Fences of the threads themselves, before they
// wait, do not do: in PTX they are fence.acq_rel, which hands on for the thread that writes the number only.) Where two
// accesses are not in order, and one writes, it is a race.
// What another block has written in the same launch is to be read past the cache of a block, by __ldcg.
#include <algorithm>

namespace {

Shadow global;
std::unordered_map<const void*, Clock> handed_on;  // by number: what is known to a thread that has seen it

bool in_order(const Access& before) {  // with what the running thread does now
    if (before.block == here->number) return before.epoch < here->epoch || before.thread == now->number;
    return before.epoch < std::max(here->known[before.block], now->acquired[before.block]);
}

bool race(const Access& before, Kind kind) {
    const bool atomic = (before.kind == ATOMIC && kind != PLAIN) || (kind == ATOMIC && before.kind != PLAIN);
    return before.block != NOBODY && !atomic && !in_order(before);
}

struct Memory {
    const char* begin;
    size_t size;
    int argument;  // -1: shared memory

    bool has(const char* at, size_t bytes) const { return begin <= at && at + bytes <= begin + size; }
};

Memory memory_at(const char* at, size_t size) {  // or what begins before
    if (here->shared <= (unsigned char*)at && (unsigned char*)at < here->shared + SHARED)
        return {(const char*)here->shared, launch->shared, -1};
    Memory found = {nullptr, 0, 0};
    for (int k = 0; k < launch->ranges; k++) {
        const StandinRange& range = launch->memory[k];
        const Memory memory = {range.begin, range.size, range.argument};
        if (memory.has(at, size)) return memory;
        if (found.begin < memory.begin && memory.begin <= at) found = memory;
    }
    return found;
}

struct Attempt {
    const char* at;
    size_t size;
    bool writes;
    Kind kind;
    Memory memory;

    void check() const {
        if (!memory.has(at, size)) refuse("beyond what it was given");
        if ((uintptr_t)at % size) refuse("which is not aligned");
        (memory.argument < 0 ? here->numbers : global).each(at, size, [this](Cell& cell) {
            if (race(cell.write, kind)) refuse(cell.write, "writes");
            if (writes) write(cell);
            else read(cell);
        });
    }

private:
    [[noreturn]] void refuse(const char* why) const {
        char place[40] = "shared memory";
        if (memory.argument >= 0) snprintf(place, sizeof place, "the memory of argument %d", memory.argument);
        stop("thread %u of block %u %s %zu bytes at %td of %s after the barrier on line %d, %s", now->number,
             here->number, writes ? "writes" : "reads", size, at - memory.begin, place, now->line, why);
    }

    [[noreturn]] void refuse(const Access& other, const char* does) const {
        char why[96];
        if (other.thread == SEVERAL)
            snprintf(why, sizeof why, "a race: threads of block %u read there", other.block);
        else
            snprintf(why, sizeof why, "a race: thread %u of block %u %s there", other.thread, other.block, does);
        refuse(why);
    }

    Access mine() const { return {here->number, now->number, here->epoch, kind}; }

    void write(Cell& cell) const {
        for (const Access& other : cell.reads)
            if (race(other, kind)) refuse(other, "reads");
        cell.reads.clear();
        cell.write = mine();
    }

    void read(Cell& cell) const {
        const unsigned writer = cell.write.block;
        if (memory.argument < 0 && writer == NOBODY) refuse("which nobody has written");
        if (writer != NOBODY && writer != here->number && kind == PLAIN)
            refuse("which another block has written, and not by __ldcg");
        for (Access& other : cell.reads)
            if (other.block == here->number) {
                const bool beside = other.epoch == here->epoch && other.thread != now->number;
                other = mine();
                if (beside) other.thread = SEVERAL;
                return;
            }
        if (launch->cooperative || cell.reads.size() < 2)  // two are enough of blocks that never wait for each other
            cell.reads.push_back(mine());
    }
};

void look(const void* place, size_t size, bool writes, Kind kind) {
    const char* at = (const char*)place;
    const Memory state = {(const char*)launch->state, sizeof(StandinState), 0}, stack = {now->stack, STACK, 0};
    if (!state.has(at, size) && !stack.has(at, size)) Attempt{at, size, writes, kind, memory_at(at, size)}.check();
}

void see(const void* at) {
    auto found = handed_on.find(at);
    if (found != handed_on.end()) now->seen.join(found->second);
}

void fence() {
    if (launch->cooperative && !now->seen.empty())  // let all others that wait for the same see it, before this block hands on more
        for (int rounds = 0; rounds < 2; rounds++) standin_sleep();
    now->acquired.join(now->seen);
    now->seen.clear();
    now->released.join(here->known);
    now->released.join(now->acquired);
    now->released.raise(here->number, here->epoch);
}

void watch_launch() {
    handed_on.clear();
    global.clear();
}

void watch_barrier(Block& block) {  // its threads have waited for each other
    block.epoch++;
    for (const Fiber* fiber : block.fibers) block.known.join(fiber->acquired);
}

}  // namespace

extern "C" {

#define STANDIN_LOOK(N) \
    void __tsan_read##N(void* at) { look(at, N, false, PLAIN); } \
    void __tsan_write##N(void* at) { look(at, N, true, PLAIN); } \
    void __tsan_unaligned_read##N(void* at) { look(at, N, false, PLAIN); } \
    void __tsan_unaligned_write##N(void* at) { look(at, N, true, PLAIN); } \
    void __tsan_volatile_read##N(void* at) { look(at, N, false, VOLATILE), see(at); } \
    void __tsan_volatile_write##N(void* at) { look(at, N, true, VOLATILE); }
STANDIN_LOOK(1) STANDIN_LOOK(2) STANDIN_LOOK(4) STANDIN_LOOK(8) STANDIN_LOOK(16)

void __tsan_read_range(char* at, size_t size) { for (; size--; at++) look(at, 1, false, PLAIN); }
void __tsan_write_range(char* at, size_t size) { for (; size--; at++) look(at, 1, true, PLAIN); }

unsigned __tsan_atomic32_fetch_add(unsigned* at, unsigned n, int) {
    look(at, sizeof *at, true, ATOMIC);
    see(at);
    handed_on[at].join(now->released);
    return (*at += n) - n;
}

void __tsan_atomic_thread_fence(int) { fence(); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
}
