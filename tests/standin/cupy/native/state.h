// What a launch is, shared by the scheduler (threads.cpp) and every compiled module.
struct StandinDim { unsigned x, y, z; };

struct StandinState {  // what the running thread sees
    StandinDim thread, block, blocks, threads;
    unsigned char* shared;
};

struct StandinRange {  // memory that an argument points into
    const char* begin;
    unsigned long long size;
    int argument;
};

struct StandinLaunch {
    StandinState* state;
    void (*body)(void**);  // one thread of the kernel
    void** arguments;
    StandinDim blocks, threads;
    unsigned long long shared;  // bytes for each block
    unsigned long long seed;    // of the order of threads and blocks; 0 is in order
    int cooperative;
    int watched;  // with -fsanitize=thread: `memory` is all that may be touched beside shared memory
    const StandinRange* memory;
    int ranges;
    char message[256];  // what went wrong
};

extern "C" {
int standin_run(StandinLaunch* launch);
void standin_barrier(int line);
void standin_sleep();
void standin_misaligned(const void* at, unsigned long long bytes);
}
