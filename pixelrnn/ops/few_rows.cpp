// out = start + x weight for few rows x and a weight that was packed once, in float.
//
// A panel of the weight is read once and meets all rows while it is in the cache, as many of them at
// once as registers hold sums; the next panel is fetched meanwhile. Every sum adds its terms in the
// same order, however many rows there are: a row's result does not depend on the others.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace {

using Index = std::int64_t;

constexpr Index panel = 16, strip = 2 * panel;
constexpr Index parallel_from = 1000000;  // multiplications: two threads cost more below

#ifdef __AVX512F__
constexpr Index lanes = 16;
constexpr int most_rows = 16;  // at once: of 32 registers
#else
constexpr Index lanes = 8;
constexpr int most_rows = 4;
#endif
constexpr int vectors = panel / lanes;

typedef float Vector __attribute__((vector_size(lanes * sizeof(float))));

inline Vector vector_at(const float* from) {
    Vector result;
    std::memcpy(&result, from, sizeof result);
    return result;
}

// Strides are in elements, from row to row.
struct Job {
    const float* weight;  // (panel, inputs, lane); zero where there is no output
    Index rows, inputs, outputs;
    const float* start;
    Index start_stride;
    float* out;
    Index out_stride;
};

// Where given rows are copied to, and what is multiplied then; the first may lie in the second.
struct Place {
    float* to;
    Index to_stride, given;  // features of a given row
    const float* window;
    Index window_stride;
};

// Calls work<R>(row) for blocks of R rows, R as large as it can be.
template <class Work> inline void in_blocks(Index rows, const Work& work) {
    Index row = 0;
    const auto some = [&](auto count) {
        for (; row + count() <= rows; row += count()) work(count, row);
    };
    some(std::integral_constant<int, most_rows>());
    if constexpr (most_rows > 8) some(std::integral_constant<int, 8>());
    if constexpr (most_rows > 4) some(std::integral_constant<int, 4>());
    some(std::integral_constant<int, 1>());
}

// (block, inputs, row of the block): rows a power of two apart would share few lines of the cache.
inline std::vector<float> blocks(const Job& job, const float* x, Index stride) {
    std::vector<float> packed(job.rows * job.inputs);
    in_blocks(job.rows, [&](auto block, Index row) {
        float* to = packed.data() + row * job.inputs;
        for (Index k = 0; k < job.inputs; ++k)
            for (int r = 0; r < block(); ++r) *to++ = x[(row + r) * stride + k];
    });
    return packed;
}

// P panels of R rows of `x` as `blocks` lays them out.
template <int R, int P>
inline void multiply(const float* weight, Index inputs, const float* x, const float* start,
                     Index start_stride, float* out, Index out_stride) {
    constexpr int V = P * vectors;
    const Index apart = inputs * panel;
    Vector sums[R][V];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v)
            sums[r][v] = vector_at(start + r * start_stride + v * lanes);
    for (Index k = 0; k < inputs; ++k, weight += panel, x += R) {
        Vector w[V];
        for (int v = 0; v < V; ++v)
            w[v] = vector_at(weight + v / vectors * apart + v % vectors * lanes);
        for (int p = 0; p < P; ++p) __builtin_prefetch(weight + (P + p) * apart, 0, 2);
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v) sums[r][v] += w[v] * x[r];
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v)
            std::memcpy(out + r * out_stride + v * lanes, &sums[r][v], sizeof(Vector));
}

// The n outputs from `first` on. Fewer than fill the panels are computed aside, with what fills them.
template <int R, int P>
inline void multiply_panels(const Job& job, const float* x, Index row, Index first, Index n) {
    constexpr Index wide = P * panel;
    const float* weight = job.weight + first * job.inputs;
    const float* start = job.start + row * job.start_stride + first;
    float* out = job.out + row * job.out_stride + first;
    x += row * job.inputs;
    if (n == wide) {
        multiply<R, P>(weight, job.inputs, x, start, job.start_stride, out, job.out_stride);
        return;
    }
    float aside[R * wide] = {};
    for (int r = 0; r < R; ++r) std::copy_n(start + r * job.start_stride, n, aside + r * wide);
    multiply<R, P>(weight, job.inputs, x, aside, wide, aside, wide);
    for (int r = 0; r < R; ++r) std::copy_n(aside + r * wide, n, out + r * job.out_stride);
}

// A strip of outputs: panel by panel, or all at once where few rows would leave registers free.
template <int R> inline void multiply_strip(const Job& job, const float* x, Index row, Index first) {
    const Index n = std::min(strip, job.outputs - first);
    if (R * vectors < 4 && n > panel) {
        multiply_panels<R, 2>(job, x, row, first, n);
        return;
    }
    for (Index done = 0; done < n; done += panel)
        multiply_panels<R, 1>(job, x, row, first + done, std::min(panel, n - done));
}

}  // namespace

extern "C" void add(const Job* at, const float* x, Index x_stride) {
    const Job job = *at;
    const std::vector<float> rows = blocks(job, x, x_stride);
#pragma omp parallel for if (job.rows * job.inputs * job.outputs > parallel_from)
    for (Index first = 0; first < job.outputs; first += strip)
        in_blocks(job.rows, [&](auto block, Index row) {
            multiply_strip<block()>(job, rows.data(), row, first);
        });
}

extern "C" void place_and_add(const Job* job, const Place* place, const float* x, Index x_stride) {
    for (Index r = 0; r < job->rows; ++r)
        std::copy_n(x + r * x_stride, place->given, place->to + r * place->to_stride);
    add(job, place->window, place->window_stride);
}

// One of several calls that are repeated together. Addresses move from column to column.
struct Instruction {
    Index kind, rows, inputs, outputs, given;
    const float* weight;
    void (*function)(const void*, const void*, void**);
    const void *first, *second;
    Index at[5], per_column[5], stride[5];  // bytes, bytes, elements
};

namespace {

enum Kind { product, place, relu, sum, multiplication, call };

template <class Operation>
inline void elementwise(const Instruction& i, float* const* p, const Operation& operation) {
    for (Index r = 0; r < i.rows; ++r) {
        const float *a = p[0] + r * i.stride[0], *b = p[1] + r * i.stride[1];
        float* out = p[2] + r * i.stride[2];
        for (Index k = 0; k < i.outputs; ++k) out[k] = operation(a[k], b[k]);
    }
}

}  // namespace

extern "C" void run(const Instruction* at, Index count, Index column) {
    for (const Instruction* i = at; i < at + count; ++i) {
        float* p[5];
        for (int k = 0; k < 5; ++k)
            p[k] = reinterpret_cast<float*>(i->at[k] + column * i->per_column[k]);
        const Job job = {i->weight,    i->rows, i->inputs,   i->outputs, p[0],
                         i->stride[0], p[1],    i->stride[1]};
        const Place to = {p[3], i->stride[3], i->given, p[2], i->stride[2]};
        switch (i->kind) {
            case product: add(&job, p[2], i->stride[2]); break;
            case place: place_and_add(&job, &to, p[4], i->stride[4]); break;
            case relu:
                for (Index r = 0; r < i->rows; ++r)
                    for (Index k = 0; k < i->outputs; ++k) {
                        const float x = p[0][r * i->stride[0] + k];
                        p[1][r * i->stride[1] + k] = x < 0 ? 0 : x;
                    }
                break;
            case sum: elementwise(*i, p, [](float a, float b) { return a + b; }); break;
            case multiplication: elementwise(*i, p, [](float a, float b) { return a * b; }); break;
            case call: {
                void* pointers[8] = {p[0], p[1], p[2], p[3], p[4]};
                i->function(i->first, i->second, pointers);
            }
        }
    }
}

// The same from one column down to the first.
extern "C" void run_down(const Instruction* at, Index count, Index column) {
    for (; column >= 0; --column) run(at, count, column);
}
