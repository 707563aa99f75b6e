// What a launch is, shared by the scheduler (threads.cpp) and every compiled module.
struct StandinDim { unsigned x, y, z; };

struct StandinState {  // what the running thread sees
    StandinDim thread, block, blocks, threads;
    unsigned char* shared;
};

struct StandinLaunch {
    StandinState* state;
    void (*body)(void**);  // one thread of the kernel
    void** arguments;
    StandinDim blocks, threads;
    unsigned long long shared;  // bytes for each block
    unsigned long long seed;    // of the order of threads and blocks; 0 is in order
    int cooperative;
    char message[256];  // what went wrong
};

extern "C" {
int standin_run(StandinLaunch* launch);
void standin_barrier(int line);
void standin_sleep();
}
