// What is remembered of memory while a kernel is watched: who wrote each number last, and who has read it since.
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace {

const unsigned NOBODY = ~0u, SEVERAL = ~0u - 1;

enum Kind { PLAIN, VOLATILE, ATOMIC };  // __ldcg and __stcg are volatile here: they pass by the cache of a block

struct Access {  // epoch: how often the threads of the block had waited for each other
    unsigned block = NOBODY, thread = 0, epoch = 0;
    Kind kind = PLAIN;
};

struct Cell {
    Access write;
    std::vector<Access> reads;  // since then: the last of each block; those of other threads in its epoch make SEVERAL
};

class Shadow {  // of numbers of four bytes and more, but in pages where single bytes were touched, of bytes
public:
    template <class F> void each(const char* at, size_t size, F look) {
        Page& page = pages[(uintptr_t)at / PAGE];
        if (page.cells.empty()) page.cells.resize(PAGE / page.grain);
        if (size < page.grain) split(page);
        const size_t first = (uintptr_t)at % PAGE / page.grain;
        for (size_t k = 0; k < size / page.grain; k++) look(page.cells[first + k]);
    }
    void clear() { pages.clear(); }

private:
    static const size_t PAGE = 256;
    struct Page {
        size_t grain = 4;
        std::vector<Cell> cells;
    };
    std::unordered_map<uintptr_t, Page> pages;

    static void split(Page& page) {
        std::vector<Cell> bytes;
        for (const Cell& cell : page.cells) bytes.insert(bytes.end(), page.grain, cell);
        page.cells.swap(bytes);
        page.grain = 1;
    }
};

class Clock {  // by block: of its epochs before this one is known that they are over
public:
    unsigned operator[](size_t block) const { return block < before.size() ? before[block] : 0; }
    void raise(size_t block, unsigned epoch) {
        if (before.size() <= block) before.resize(block + 1);
        if (before[block] < epoch) before[block] = epoch;
    }
    void join(const Clock& other) {
        for (size_t k = 0; k < other.before.size(); k++) raise(k, other.before[k]);
    }
    void clear() { before.clear(); }
    bool empty() const { return before.empty(); }

private:
    std::vector<unsigned> before;
};

struct WatchedThread {
    unsigned number = 0;   // in its block
    Clock seen, acquired;  // what the numbers that it has read hand on; what of it is before its last fence
    Clock released;        // what it knew at its last fence
};

struct WatchedBlock {
    unsigned number = 0, epoch = 0;
    Clock known;
    Shadow numbers;  // of its shared memory
};

}  // namespace
