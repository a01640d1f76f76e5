// Equation 3 and its backward for one line, one pass over memory per direction of differentiation.
//
// Axes: D directions, n active positions, B batch, F features. Gates are (D, n, B, 4F) in the order
// o, f, i, g; everything else is (D, n, B, F). Batch and features are contiguous; directions and
// positions have strides of their own, in elements. S is the storage type, C the type of the cell
// state and of all arithmetic.

#include "arithmetic.hpp"

namespace {

struct Strides {
    std::int64_t direction, position;
};

template <class T>
inline T* row(T* base, Strides s, std::int64_t d, std::int64_t l, std::int64_t b, std::int64_t w) {
    return base + d * s.direction + l * s.position + b * w;
}

constexpr std::int64_t serial_below = 4096;  // elements: a parallel region costs more than that

template <class S, class C>
void forward(const std::int64_t* size, const S* gates, Strides gates_at, S* products,
             Strides products_at, const C* before, Strides before_at, C* after,
             Strides after_at, S* hidden, Strides hidden_at) {
    const std::int64_t D = size[0], n = size[1], B = size[2], F = size[3];
#pragma omp parallel for collapse(3) schedule(static) if (D * n * B * F > serial_below)
    for (std::int64_t d = 0; d < D; ++d)
    for (std::int64_t l = 0; l < n; ++l)
    for (std::int64_t b = 0; b < B; ++b) {
        const S* x = row(gates, gates_at, d, l, b, 4 * F);
        S* a = row(products, products_at, d, l, b, 4 * F);
        const C* c0 = row(before, before_at, d, l, b, F);
        C* c1 = row(after, after_at, d, l, b, F);
        S* h = row(hidden, hidden_at, d, l, b, F);
#pragma omp simd
        for (std::int64_t j = 0; j < F; ++j) {
            const CellOutput<C> cell = equation_3(
                load<C>(x[j]) + load<C>(a[j]), load<C>(x[F + j]) + load<C>(a[F + j]),
                load<C>(x[2 * F + j]) + load<C>(a[2 * F + j]),
                load<C>(x[3 * F + j]) + load<C>(a[3 * F + j]), c0[j]);
            a[j] = store<S>(cell.o);
            a[F + j] = store<S>(cell.f);
            a[2 * F + j] = store<S>(cell.i);
            a[3 * F + j] = store<S>(cell.g);
            c1[j] = cell.c;
            h[j] = store<S>(cell.h);
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
            const CellGradient<C> gradient = equation_3_backward(
                load<C>(a[j]), load<C>(a[F + j]), load<C>(a[2 * F + j]), load<C>(a[3 * F + j]),
                c0[j], c1[j], load<C>(dy[j]) + load<C>(dr[j]), dc[j]);
            dc[j] = gradient.before;
            da[j] = store<S>(gradient.o);
            da[F + j] = store<S>(gradient.f);
            da[2 * F + j] = store<S>(gradient.i);
            da[3 * F + j] = store<S>(gradient.g);
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
