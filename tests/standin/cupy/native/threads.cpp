// The threads of a block as fibers: each runs until it waits at a barrier, sleeps in a spin, or is done.
#include "shadow.h"
#include "state.h"
#include "switch.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <utility>
#include <vector>

namespace {

const size_t STACK = 64 << 10;
const size_t SHARED = 512 << 10;  // room for a block's shared memory, and for what is written behind it
const size_t GUARD = 4 << 10;     // bytes behind shared memory that are looked at for that
const int PATIENCE = 10000;       // rounds in which nothing but spinning happens

enum Condition { READY, WAITING, SPINNING, DONE, STOPPED };

struct Fiber : WatchedThread {
    StandinPlace place;
    char* stack = nullptr;
    size_t room = 0;
    bool started = false;
    Condition condition = READY;
    int line = 0;
    StandinDim thread;
};

struct Block : WatchedBlock {
    StandinDim index;
    std::vector<Fiber*> fibers;
    unsigned char* shared = nullptr;
    bool done = false;
};

std::vector<Fiber*> pool;
std::vector<unsigned char*> shared_pool;
Fiber* now = nullptr;
Block* here = nullptr;
StandinLaunch* launch = nullptr;
StandinPlace home;
unsigned long long random_state;

unsigned random_below(unsigned n) {  // xorshift
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 11) % n;
}

template <class T> void shuffle(std::vector<T>& items) {
    if (launch->seed)
        for (size_t k = items.size(); k > 1; k--) std::swap(items[k - 1], items[random_below((unsigned)k)]);
}

void leave() { standin_switch(now->place, home); }

[[noreturn]] void stop(const char* format, ...) {  // the launch, by the running thread
    va_list values;
    va_start(values, format);
    vsnprintf(launch->message, sizeof launch->message, format, values);
    va_end(values);
    now->condition = STOPPED;
    leave();
    abort();
}

void entry() {
    for (;;) {
        launch->body(launch->arguments);
        now->condition = DONE;
        leave();
    }
}

void resume(Fiber* fiber) {
    now = fiber;
    fiber->condition = READY;
    launch->state->thread = fiber->thread;
    if (!fiber->started) standin_begin(fiber->place, fiber->stack, fiber->room, entry);
    fiber->started = true;
    standin_switch(home, fiber->place);
}

int abandoned() {
    for (Fiber* fiber : pool) fiber->started = false;  // they are left where they are, and begin anew
    return 1;
}

int failed(const char* format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(launch->message, sizeof launch->message, format, values);
    va_end(values);
    return abandoned();
}

bool grow(size_t blocks, size_t threads) {
    const size_t count = blocks * threads;
    while (shared_pool.size() < blocks) shared_pool.push_back((unsigned char*)aligned_alloc(128, SHARED));
    while (pool.size() < count) {
        void* stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED) return false;
        pool.push_back(new Fiber);
        pool.back()->stack = (char*)stack;
        pool.back()->room = STACK - pool.size() % 128 * 128;  // so that not all stacks share lines of the cache
    }
    return true;
}

void prepare(Block& block, unsigned long long number, size_t slot) {
    const StandinDim b = launch->blocks, t = launch->threads;
    block.index = {(unsigned)(number % b.x), (unsigned)(number / b.x % b.y), (unsigned)(number / b.x / b.y)};
    block.done = false;
    static_cast<WatchedBlock&>(block) = {(unsigned)number};
    block.shared = shared_pool[slot];
    memset(block.shared, 255, launch->shared + GUARD);  // NaN: what was never written shows
    block.fibers.clear();
    for (unsigned k = 0; k < t.x * t.y * t.z; k++) {
        Fiber* fiber = pool[slot * t.x * t.y * t.z + k];
        fiber->condition = READY;
        fiber->line = 0;
        static_cast<WatchedThread&>(*fiber) = {k};
        fiber->thread = {k % t.x, k / t.x % t.y, k / t.x / t.y};
        block.fibers.push_back(fiber);
    }
}

int finish(Block& block) {
    block.done = true;
    for (size_t k = 0; k < GUARD; k++)
        if (block.shared[launch->shared + k] != 255)
            return failed("block (%u, %u, %u) wrote behind its %llu bytes of shared memory", block.index.x,
                          block.index.y, block.index.z, launch->shared);
    return 0;
}

}  // namespace

#include "watch.h"

namespace {

// Run a block until it is done or none of its threads does more than spin.
int advance(Block& block, bool& progress) {
    launch->state->block = block.index;
    launch->state->shared = block.shared;
    here = &block;
    for (;;) {
        size_t done = 0, waiting = 0, spinning = 0;
        int line = 0, other = 0;
        shuffle(block.fibers);
        for (Fiber* fiber : block.fibers) {
            if (fiber->condition == READY || fiber->condition == SPINNING) {
                resume(fiber);
                if (fiber->condition == STOPPED) return abandoned();
                progress |= fiber->condition != SPINNING;
            }
            done += fiber->condition == DONE;
            spinning += fiber->condition == SPINNING;
            if (fiber->condition == WAITING) {
                other = waiting++ && fiber->line != line ? fiber->line : other;
                line = fiber->line;
            }
            if (spinning && !launch->cooperative)
                return failed("thread (%u, %u, %u) of block (%u, %u, %u) waits for others in a kernel that is not "
                              "cooperative", fiber->thread.x, fiber->thread.y, fiber->thread.z, block.index.x,
                              block.index.y, block.index.z);
        }
        if (done == block.fibers.size()) return finish(block);
        if (spinning) return 0;
        if (done)
            return failed("__syncthreads() on line %d was reached by %zu of the %zu threads of block (%u, %u, %u)",
                          line, waiting, block.fibers.size(), block.index.x, block.index.y, block.index.z);
        if (other)
            return failed("the threads of block (%u, %u, %u) wait at different barriers, on lines %d and %d",
                          block.index.x, block.index.y, block.index.z, line, other);
        for (Fiber* fiber : block.fibers) fiber->condition = READY;
        if (launch->watched) watch_barrier(block);
        progress = true;
    }
}

int run_together(std::vector<Block>& blocks) {
    std::vector<Block*> order;
    for (Block& block : blocks) order.push_back(&block);
    for (int patience = PATIENCE;;) {
        bool progress = false, alive = false;
        shuffle(order);
        for (Block* block : order) {
            if (block->done) continue;
            if (advance(*block, progress)) return 1;
            alive |= !block->done;
        }
        if (!alive) return 0;
        if (progress) patience = PATIENCE;
        else if (!--patience) return failed("some threads wait for what never comes: a spin without an end");
    }
}

}  // namespace

extern "C" {

int standin_run(StandinLaunch* l) {
    launch = l;
    l->state->blocks = l->blocks, l->state->threads = l->threads;
    if (l->watched) watch_launch();
    random_state = l->seed * 0x9E3779B97F4A7C15ull + 1;
    const size_t threads = (size_t)l->threads.x * l->threads.y * l->threads.z;
    const unsigned long long count = (unsigned long long)l->blocks.x * l->blocks.y * l->blocks.z;
    std::vector<Block> blocks(l->cooperative ? count : 1);
    if (!grow(blocks.size(), threads)) return failed("no memory for the stacks of %zu threads", threads);
    std::vector<unsigned long long> order(count);
    for (unsigned long long k = 0; k < count; k++) order[k] = k;
    shuffle(order);
    for (unsigned long long k = 0; k < count; k++) {
        size_t slot = l->cooperative ? k : 0;
        prepare(blocks[slot], order[k], slot);
        if ((!l->cooperative || k + 1 == count) && run_together(blocks)) return 1;
    }
    return 0;
}

void standin_misaligned(const void* at, unsigned long long bytes) {
    stop("%p is not aligned to %llu bytes, as the kernel says it is", at, bytes);
}

void standin_barrier(int line) {
    now->condition = WAITING;
    now->line = line;
    leave();
}

void standin_sleep() {
    now->condition = SPINNING;
    leave();
}
}
