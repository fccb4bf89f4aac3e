// Comes between the shim and a source. Blocks of a launch run as fibers that hand over to one
// another, by chance, before every use of memory that they share: what a GPU's blocks may do to
// each other, in an order that can be repeated.
#include <functional>
#include <memory>
#include <random>
#include <vector>
#include <ucontext.h>

namespace interleave {

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    Index block;
    bool done;
};

static std::vector<std::unique_ptr<Fiber>> fibers;
static Fiber* now;
static ucontext_t scheduler;
static std::mt19937_64 chance;
static std::function<void()> work;

static void pause() {
    if (!now || chance() % 4 == 0) return;  // several steps at a stretch now and then
    now->block = blockIdx;
    swapcontext(&now->context, &scheduler);
    blockIdx = now->block;
}

static void enter() {
    blockIdx = now->block;
    work();
    now->done = true;
    swapcontext(&now->context, &scheduler);
}

static void run(unsigned blocks, unsigned row, unsigned long long seed, std::function<void()> body) {
    work = body;
    chance.seed(seed);
    for (unsigned number = 0; number < blocks; ++number) {
        auto fiber = std::make_unique<Fiber>();
        fiber->stack.resize(16 * 1024);
        fiber->block = {number, row, 0};
        fiber->done = false;
        getcontext(&fiber->context);
        fiber->context.uc_stack.ss_sp = fiber->stack.data();
        fiber->context.uc_stack.ss_size = fiber->stack.size();
        fiber->context.uc_link = nullptr;
        makecontext(&fiber->context, enter, 0);
        fibers.push_back(std::move(fiber));
    }
    while (!fibers.empty()) {
        const size_t chosen = chance() % fibers.size();
        now = fibers[chosen].get();
        swapcontext(&scheduler, &now->context);
        if (now->done) {
            std::swap(fibers[chosen], fibers.back());
            fibers.pop_back();
        }
    }
    now = nullptr;
}

}  // namespace interleave

#define SHARED_WITH_OTHERS(value) (*(interleave::pause(), (volatile int*)&(value)))
#define atomicMin(at, value) (interleave::pause(), atomicMin(at, value))
