// What the CUDA sources need to compile as C++: the host's meaning of kernels/cuda/prelude.cuh.
// A kernel is called once per block, and a block's threads take turns.
#include <cmath>
#include <cstdint>
#include <cstring>

struct Index { unsigned x, y, z; };
extern "C" { Index blockIdx, blockDim, gridDim; }

#define KERNEL extern "C"
#define DEVICE static inline
#define SHARED static
#define EACH_THREAD(t) for (int t = 0; t < (int)blockDim.x; ++t)
#define __restrict__ __restrict

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

template <class T> static inline T atomicAdd(T* at, T value) { T old = *at; *at = old + value; return old; }
template <class T> static inline T atomicMin(T* at, T value) { T old = *at; if (value < old) *at = value; return old; }
template <class T> static inline T atomicMax(T* at, T value) { T old = *at; if (value > old) *at = value; return old; }
template <class T> static inline T atomicOr(T* at, T value) { T old = *at; *at = old | value; return old; }
template <class T> static inline T atomicExch(T* at, T value) { T old = *at; *at = value; return old; }
template <class T> static inline T atomicCAS(T* at, T compare, T value) { T old = *at; if (old == compare) *at = value; return old; }
static inline void __threadfence() {}
template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }
static inline int __popc(u32 word) { return __builtin_popcount(word); }
static inline int __popcll(u64 word) { return __builtin_popcountll(word); }
static inline int __ffs(int word) { return __builtin_ffs(word); }
static inline int __ffsll(long long word) { return __builtin_ffsll(word); }
static inline int __clz(int word) { return word ? __builtin_clz((u32)word) : 32; }
static inline int __clzll(long long word) { return word ? __builtin_clzll((u64)word) : 64; }
static inline u32 __float_as_uint(float value) { u32 bits; std::memcpy(&bits, &value, 4); return bits; }
static inline float __uint_as_float(u32 bits) { float value; std::memcpy(&value, &bits, 4); return value; }
