// Equation 3 and its backward for one line, one pass over memory per direction of differentiation.
//
// Axes: D directions, n active places, B batch, F features. Gates are (D, n, B, 4F) in the order
// o, f, i, g; everything else is (D, n, B, F). Batch and features are contiguous; directions and
// places have strides of their own, in elements. S is the storage type, C the type of the cell
// state and of all arithmetic.
//
// exp and tanh of float are written out, after Cephes, so that every compiler vectorises them:
// errors stay within 2 ulp. double takes those of the standard library: it serves tests.

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

struct bfloat16 {
    std::uint16_t bits;
};

template <class C, class S> inline C load(S value) { return static_cast<C>(value); }

template <> inline float load<float, bfloat16>(bfloat16 value) {
    const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
    float result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}

template <class S, class C> inline S store(C value) { return static_cast<S>(value); }

template <> inline bfloat16 store<bfloat16, float>(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits += 0x7fffu + ((bits >> 16) & 1u);  // round to nearest, ties to even
    return {static_cast<std::uint16_t>(bits >> 16)};
}

inline double exponential(double x) { return std::exp(x); }

inline float exponential(float x) {
    x = x > 88.0f ? 88.0f : x;
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
    p = p * r * r + r + 1.0f;
    const std::int32_t bits = (static_cast<std::int32_t>(n) + 127) << 23;
    float scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

inline double hyperbolic_tangent(double x) { return std::tanh(x); }

inline float hyperbolic_tangent(float x) {
    const float z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    p = p * z * x + x;
    const float far = 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f);
    return z < 0.390625f ? p : far;
}

template <class C> inline C logistic(C x) { return C(1) / (C(1) + exponential(-x)); }

struct Strides {
    std::int64_t direction, place;
};

template <class T>
inline T* row(T* base, Strides s, std::int64_t d, std::int64_t l, std::int64_t b, std::int64_t w) {
    return base + d * s.direction + l * s.place + b * w;
}

constexpr std::int64_t serial_below = 4096;  // elements: a parallel region costs more than that

template <class S, class C>
void forward(const std::int64_t* size, const S* gates, Strides gates_at, S* products,
             Strides products_at, const C* before, Strides before_at, C* cell, Strides cell_at,
             S* hidden, Strides hidden_at) {
    const std::int64_t D = size[0], n = size[1], B = size[2], F = size[3];
#pragma omp parallel for collapse(3) schedule(static) if (D * n * B * F > serial_below)
    for (std::int64_t d = 0; d < D; ++d)
    for (std::int64_t l = 0; l < n; ++l)
    for (std::int64_t b = 0; b < B; ++b) {
        const S* x = row(gates, gates_at, d, l, b, 4 * F);
        S* a = row(products, products_at, d, l, b, 4 * F);
        const C* c0 = row(before, before_at, d, l, b, F);
        C* c1 = row(cell, cell_at, d, l, b, F);
        S* h = row(hidden, hidden_at, d, l, b, F);
#pragma omp simd
        for (std::int64_t j = 0; j < F; ++j) {
            const C o = logistic(load<C>(x[j]) + load<C>(a[j]));
            const C f = logistic(load<C>(x[F + j]) + load<C>(a[F + j]));
            const C i = logistic(load<C>(x[2 * F + j]) + load<C>(a[2 * F + j]));
            const C g = hyperbolic_tangent(load<C>(x[3 * F + j]) + load<C>(a[3 * F + j]));
            const C c = f * c0[j] + i * g;
            a[j] = store<S>(o);
            a[F + j] = store<S>(f);
            a[2 * F + j] = store<S>(i);
            a[3 * F + j] = store<S>(g);
            c1[j] = c;
            h[j] = store<S>(o * hyperbolic_tangent(c));
        }
    }
}

template <class S, class C>
void backward(const std::int64_t* size, const S* activations, Strides activations_at,
              S* grad_gates, Strides gates_at, S* grad_input, Strides input_at, const C* before,
              Strides before_at, const C* cell, Strides cell_at, const S* grad_output,
              Strides output_at, const S* grad_hidden, Strides hidden_at, C* grad_cell,
              Strides grad_cell_at) {
    const std::int64_t D = size[0], n = size[1], B = size[2], F = size[3];
#pragma omp parallel for collapse(3) schedule(static) if (D * n * B * F > serial_below)
    for (std::int64_t d = 0; d < D; ++d)
    for (std::int64_t l = 0; l < n; ++l)
    for (std::int64_t b = 0; b < B; ++b) {
        const S* a = row(activations, activations_at, d, l, b, 4 * F);
        S* da = row(grad_gates, gates_at, d, l, b, 4 * F);
        const C* c0 = row(before, before_at, d, l, b, F);
        const C* c1 = row(cell, cell_at, d, l, b, F);
        const S* dy = row(grad_output, output_at, d, l, b, F);
        const S* dr = row(grad_hidden, hidden_at, d, l, b, F);
        C* dc = row(grad_cell, grad_cell_at, d, l, b, F);
#pragma omp simd
        for (std::int64_t j = 0; j < F; ++j) {
            const C o = load<C>(a[j]), f = load<C>(a[F + j]);
            const C i = load<C>(a[2 * F + j]), g = load<C>(a[3 * F + j]);
            const C t = hyperbolic_tangent(c1[j]);
            const C dh = load<C>(dy[j]) + load<C>(dr[j]);
            const C dcell = dc[j] + dh * o * (C(1) - t * t);
            dc[j] = dcell * f;
            da[j] = store<S>(dh * t * o * (C(1) - o));
            da[F + j] = store<S>(dcell * c0[j] * f * (C(1) - f));
            da[2 * F + j] = store<S>(dcell * g * i * (C(1) - i));
            da[3 * F + j] = store<S>(dcell * i * (C(1) - g * g));
        }
        if (grad_input != nullptr)
            std::memcpy(row(grad_input, input_at, d, l, b, 4 * F), da, sizeof(S) * 4 * F);
    }
}

}  // namespace

#define STRIDES(k) Strides{at[2 * (k)], at[2 * (k) + 1]}
#define EXPORT(NAME, S, C)                                                                        \
    extern "C" void forward_##NAME(const std::int64_t* size, const std::int64_t* at, void** p) {  \
        forward<S, C>(size, static_cast<S*>(p[0]), STRIDES(0), static_cast<S*>(p[1]), STRIDES(1), \
                      static_cast<C*>(p[2]), STRIDES(2), static_cast<C*>(p[3]), STRIDES(3),       \
                      static_cast<S*>(p[4]), STRIDES(4));                                         \
    }                                                                                             \
    extern "C" void backward_##NAME(const std::int64_t* size, const std::int64_t* at, void** p) { \
        backward<S, C>(size, static_cast<S*>(p[0]), STRIDES(0), static_cast<S*>(p[1]),            \
                       STRIDES(1), static_cast<S*>(p[2]), STRIDES(2),                             \
                       static_cast<C*>(p[3]), STRIDES(3),                                         \
                       static_cast<C*>(p[4]), STRIDES(4), static_cast<S*>(p[5]), STRIDES(5),      \
                       static_cast<S*>(p[6]), STRIDES(6), static_cast<C*>(p[7]), STRIDES(7));     \
    }

EXPORT(float32, float, float)
EXPORT(float64, double, double)
EXPORT(bfloat16, bfloat16, float)
