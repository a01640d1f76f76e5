// Gates of positions, each from two halves of its features, and their derivative, in float.
//
// The reference is `gates.reference`; tests/ops/test_gates.py holds this equal to it. Each position
// is computed alone, in one pass over memory, so that its result depends on no other.

#include "conv_lstm/arithmetic.hpp"

namespace {

using Index = std::int64_t;

constexpr Index parallel_from = 16384;  // features: two threads cost more below

struct Job {
    Index positions, features, threads;
    const float* x;       // (position, 2 * features)
    float* y;             // (position, features)
    const float* grad_y;  // like y
    float* grad_x;        // like x
};

template <bool squashed> void forward(const Job& job) {
    const Index p = job.features;
#pragma omp parallel for schedule(static) num_threads(job.threads) \
    if (job.positions * p >= parallel_from)
    for (Index position = 0; position < job.positions; ++position) {
        const float* x = job.x + position * 2 * p;
        float* y = job.y + position * p;
#pragma omp simd
        for (Index j = 0; j < p; ++j)
            y[j] = (squashed ? hyperbolic_tangent(x[j]) : x[j]) * logistic(x[p + j]);
    }
}

template <bool squashed> void backward(const Job& job) {
    const Index p = job.features;
#pragma omp parallel for schedule(static) num_threads(job.threads) \
    if (job.positions * p >= parallel_from)
    for (Index position = 0; position < job.positions; ++position) {
        const float* x = job.x + position * 2 * p;
        const float* dy = job.grad_y + position * p;
        float* dx = job.grad_x + position * 2 * p;
#pragma omp simd
        for (Index j = 0; j < p; ++j) {
            const float t = squashed ? hyperbolic_tangent(x[j]) : x[j];
            const float open = logistic(x[p + j]);
            dx[j] = dy[j] * open * (squashed ? 1.0f - t * t : 1.0f);
            dx[p + j] = dy[j] * t * open * (1.0f - open);
        }
    }
}

}  // namespace

extern "C" {

void forward_squashed(const Job* job) { forward<true>(*job); }
void forward_linear(const Job* job) { forward<false>(*job); }
void backward_squashed(const Job* job) { backward<true>(*job); }
void backward_linear(const Job* job) { backward<false>(*job); }

}  // extern "C"
