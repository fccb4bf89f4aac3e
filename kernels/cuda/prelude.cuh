// Comes before every .cu file. The words below have a second meaning on the host (the tests compile
// the same sources as C++), so kernels use them and not CUDA's own:
//
//   KERNEL void name(...)   a kernel; it describes the work of one block
//   EACH_THREAD(t) {...}    the block's threads, numbered t, and then a barrier. Variables declared
//                           inside live for this phase only; what passes from one phase to the next
//                           goes through SHARED. Leave it by `continue`, never by `return`.
//   SHARED                  memory of the block
//   DEVICE                  a function that kernels call
//
// Atomic functions are CUDA's. There are no warp functions.

#define KERNEL extern "C" __global__
#define DEVICE static __device__ __forceinline__
#define SHARED __shared__
#define EACH_THREAD(t) \
    for (int t = threadIdx.x, t##_runs = 1; t##_runs; t##_runs = 0, __syncthreads())

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
