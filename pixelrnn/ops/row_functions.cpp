// Functions of few rows, in float: what a walk over positions does between products.
//
// The references stand in row_functions.py; tests/ops/test_row_functions.py holds these equal to
// them. Each row is computed alone, in the same order whatever the other rows are.

#include "conv_lstm/arithmetic.hpp"

#include <algorithm>

namespace {

using Index = std::int64_t;

constexpr Index parallel_from = 16384;  // features: two threads cost more below

// Of the result. Strides are in elements, from row to row: of the input, then of the result.
struct Size {
    Index rows, features;
};

// exp(x) - 1, also near zero, where the difference itself would lose its digits.
inline float exponential_less_one(float x) {
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23: rounds to integer
    const float n = shifted - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r;
    const std::int32_t bits = (static_cast<std::int32_t>(n) + 127) << 23;
    float scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return p * scale + (scale - 1.0f);
}

template <class Row> inline void each_row(const Size& size, const Index* strides, void** p,
                                          const Row& row) {
    const float* x = static_cast<const float*>(p[0]);
    float* y = static_cast<float*>(p[1]);
#pragma omp parallel for schedule(static) if (size.rows * size.features >= parallel_from)
    for (Index r = 0; r < size.rows; ++r) row(x + r * strides[0], y + r * strides[1]);
}

template <bool squashed> void gate(const Size& size, const Index* strides, void** p) {
    const Index n = size.features;
    each_row(size, strides, p, [n](const float* x, float* y) {
#pragma omp simd
        for (Index j = 0; j < n; ++j)
            y[j] = (squashed ? hyperbolic_tangent(x[j]) : x[j]) * logistic(x[n + j]);
    });
}

}  // namespace

extern "C" {

void elu(const Size* size, const Index* strides, void** p) {
    const Index n = size->features;
    each_row(*size, strides, p, [n](const float* x, float* y) {
#pragma omp simd
        for (Index j = 0; j < n; ++j) y[j] = x[j] > 0.0f ? x[j] : exponential_less_one(x[j]);
    });
}

void gate_squashed(const Size* size, const Index* strides, void** p) {
    gate<true>(*size, strides, p);
}

void gate_linear(const Size* size, const Index* strides, void** p) {
    gate<false>(*size, strides, p);
}

void copy(const Size* size, const Index* strides, void** p) {
    const Index n = size->features;
    each_row(*size, strides, p, [n](const float* x, float* y) { std::copy_n(x, n, y); });
}

}  // extern "C"
