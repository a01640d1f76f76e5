// All lines of the recurrence in one call, and all lines of its backward: for few features, where
// products are so small that calling them one by one costs more than they do.
//
// The images of a batch do not meet in the recurrence, so each thread takes some of them through
// all lines and waits for nobody. A product is computed in registers, for a few images and one
// vector of features of every gate, and goes straight into the cell.
//
// Axes and types: lines.hpp.

#include "lines.hpp"

namespace {

// Equation 3 for n features: gates become activations, c and h those after. A call of its own, so
// that compilers see a loop to vectorise and not a few terms to unroll.
template <class C>
[[gnu::noinline]] void equation_3_of_many(C* __restrict o, C* __restrict f, C* __restrict i,
                                          C* __restrict g, C* __restrict c, C* __restrict h,
                                          Index n) {
#pragma omp simd
    for (Index j = 0; j < n; ++j) {
        const CellOutput<C> cell = equation_3(o[j], f[j], i[j], g[j], c[j]);
        o[j] = cell.o;
        f[j] = cell.f;
        i[j] = cell.i;
        g[j] = cell.g;
        c[j] = cell.c;
        h[j] = cell.h;
    }
}

// Equation 3 for R images at one position. `kept` and `kept_state` may be null.
template <int R, class S, class C>
inline void forward_at_position(const Problem& p, const C* weight, const S* gates, const S* before,
                                C* state, S* hidden, S* kept, C* kept_state, C* buffer) {
    using Vector = typename Lanes<C>::type;
    const Index F = p.F;
    for (Index first = 0; first < F; first += lanes) {
        const Index n = std::min(lanes, F - first);
        alignas(sizeof(Vector)) C a[4][R][lanes] = {}, c[R][lanes] = {}, h[R][lanes];
        Vector acc[4][R];
        for (int q = 0; q < 4; ++q)
            for (int r = 0; r < R; ++r) {
                take(a[q][r], gates + (r * 4 + q) * F + first, n);
                acc[q][r] = vector_at(a[q][r]);
            }
        for (Index k = 0; k < p.K; ++k) {
            const C* rows[R];
            for (int r = 0; r < R; ++r)
                rows[r] = converted(before + (k * p.B + r) * F, buffer + r * F, F);
            for (Index m = 0; m < F; ++m, weight += 4 * lanes) {
                const Vector o = vector_at(weight), f = vector_at(weight + lanes);
                const Vector i = vector_at(weight + 2 * lanes), g = vector_at(weight + 3 * lanes);
                for (int r = 0; r < R; ++r) {
                    const C value = rows[r][m];
                    acc[0][r] += o * value;
                    acc[1][r] += f * value;
                    acc[2][r] += i * value;
                    acc[3][r] += g * value;
                }
            }
        }
        std::memcpy(a, acc, sizeof a);
        for (int r = 0; r < R; ++r) take(c[r], state + r * F + first, n);
        equation_3_of_many(a[0][0], a[1][0], a[2][0], a[3][0], c[0], h[0], R * lanes);
        for (int r = 0; r < R; ++r) {
            put(state + r * F + first, c[r], n);
            put(hidden + r * F + first, h[r], n);
            if (kept == nullptr) continue;
            for (int q = 0; q < 4; ++q) put(kept + (r * 4 + q) * F + first, a[q][r], n);
            put(kept_state + r * F + first, c[r], n);
        }
    }
}

template <class C>
void fill_positions(const Problem& p, C* states, const C* initial, Index d, Index position,
                    Index count, Index b, Index images) {
    for (Index l = position; l < position + count; ++l)
        for (Index i = b; i < b + images; ++i)
            std::copy(initial + d * p.F, initial + (d + 1) * p.F, states + p.state_at(d, l, i));
}

// Writes `hidden` where positions are active; `activations` and `states` unless they are null.
template <class S, class C>
void forward(const Problem& p, const LineLayout* lines, const S* gates, const S* weight,
             const C* initial, S* hidden, S* activations, C* states) {
    const std::vector<C> weights = packed<C>(p, weight);
    const bool keep = activations != nullptr;
    share_images(p, [&](Index d, Index first, Index images) {
        const C* mine = weights.data() + d * p.vectors() * p.K * p.F * 4 * lanes;
        std::vector<C> state(p.L * images * p.F), buffer(4 * p.F);
        for (Index row = 0; row < p.L * images; ++row)
            std::copy(initial + d * p.F, initial + (d + 1) * p.F, state.data() + row * p.F);
        if (keep) fill_positions(p, states, initial, d, 0, lines[0].size, first, images);
        for (Index t = 0; t < p.T; ++t) {
            const LineLayout& line = lines[t];
            for (Index position = 0; position < line.size; ++position) {
                const Index l = line.start + position;
                in_blocks<4>(images, [&](auto block, Index i) {
                    const Index b = first + i;
                    forward_at_position<block()>(
                        p, mine, gates + p.gates_at(d, t, l, b), hidden + p.hidden_at(d, t, l, b),
                        state.data() + (l * images + i) * p.F,
                        hidden + p.hidden_at(d, t + 1, p.pad + l, b),
                        keep ? activations + p.kept_at(d, line.stored + position, b) : nullptr,
                        keep ? states + p.state_at(d, line.state + position, b) : nullptr,
                        buffer.data());
                });
            }
            if (!keep) continue;
            const Index below = line.state - line.below, above = line.state + line.size;
            fill_positions(p, states, initial, d, below, line.below, first, images);
            fill_positions(p, states, initial, d, above, line.above, first, images);
        }
    });
}

// The transposed products for R images at one position of line t - 1: what line t sends back.
template <int R, class C>
inline void backward_at_position(const Problem& p, const C* weight, const LineLayout& line,
                                 const C* grads, Index l, Index images, C* grad_hidden) {
    using Vector = typename Lanes<C>::type;
    const Index width = 4 * p.F;
    for (Index first = 0; first < p.F; first += lanes) {
        Vector acc[R] = {};
        for (Index k = 0; k < p.K; ++k, weight += width * lanes) {
            const Index reader = l - k + p.pad;
            if (reader < line.start || reader >= line.start + line.size) continue;
            const C* rows = grads + reader * images * width;
            for (Index gate = 0; gate < width; ++gate) {
                const Vector w = vector_at(weight + gate * lanes);
                for (int r = 0; r < R; ++r) acc[r] += w * rows[r * width + gate];
            }
        }
        C sums[R][lanes];
        std::memcpy(sums, acc, sizeof sums);
        for (int r = 0; r < R; ++r)
            put(grad_hidden + r * p.F + first, sums[r], std::min(lanes, p.F - first));
    }
}

// Writes `grad_gates`, which may be `activations`; `grad_input` unless it is null, laid out as the
// gates; adds to `grad_cell`, (D, L, B, F).
template <class S, class C>
void backward(const Problem& p, const LineLayout* lines, const S* grad_output, const S* weight,
              const S* activations, const C* states, S* grad_gates, S* grad_input, C* grad_cell) {
    const std::vector<C> weights = packed_transposed<C>(p, weight);
    share_images(p, [&](Index d, Index first, Index images) {
        const Index F = p.F;
        const C* mine = weights.data() + d * p.vectors() * p.K * 4 * F * lanes;
        std::vector<C> grads(p.L * images * 4 * F), grad_hidden(p.L * images * F, C(0));
        for (Index t = p.T - 1; t >= 0; --t) {
            const LineLayout& line = lines[t];
            for (Index position = 0; position < line.size; ++position)
            for (Index i = 0; i < images; ++i) {
                const Index l = line.start + position, b = first + i;
                const S* a = activations + p.kept_at(d, line.stored + position, b);
                const C* before = states + p.state_at(d, line.before + position, b);
                const C* after = states + p.state_at(d, line.state + position, b);
                const S* dy = grad_output + p.output_at(d, t, l, b);
                const C* dh = grad_hidden.data() + (l * images + i) * F;
                C* dc = grad_cell + ((d * p.L + l) * p.B + b) * F;
                C* da = grads.data() + (l * images + i) * 4 * F;
#pragma omp simd
                for (Index j = 0; j < F; ++j) {
                    const CellGradient<C> gradient = equation_3_backward(
                        load<C>(a[j]), load<C>(a[F + j]), load<C>(a[2 * F + j]),
                        load<C>(a[3 * F + j]), before[j], after[j], load<C>(dy[j]) + dh[j], dc[j]);
                    da[j] = gradient.o;
                    da[F + j] = gradient.f;
                    da[2 * F + j] = gradient.i;
                    da[3 * F + j] = gradient.g;
                    dc[j] = gradient.before;
                }
                S* kept = grad_gates + p.kept_at(d, line.stored + position, b);
                for (Index j = 0; j < 4 * F; ++j) kept[j] = store<S>(da[j]);
                if (grad_input != nullptr)
                    std::memcpy(grad_input + p.gates_at(d, t, l, b), kept, 4 * F * sizeof(S));
            }
            for (Index position = 0; t > 0 && position < lines[t - 1].size; ++position) {
                const Index l = lines[t - 1].start + position;
                in_blocks<8>(images, [&](auto block, Index i) {
                    backward_at_position<block()>(p, mine, line, grads.data() + i * 4 * F, l,
                                                  images,
                                                  grad_hidden.data() + (l * images + i) * F);
                });
            }
        }
    });
}

}  // namespace

#define EXPORT(NAME, S, C)                                                                       \
    extern "C" void forward_##NAME(const Problem* problem, const LineLayout* lines, void** p) {  \
        forward<S, C>(*problem, lines, static_cast<S*>(p[0]), static_cast<S*>(p[1]),             \
                      static_cast<C*>(p[2]), static_cast<S*>(p[3]), static_cast<S*>(p[4]),       \
                      static_cast<C*>(p[5]));                                                    \
    }                                                                                            \
    extern "C" void backward_##NAME(const Problem* problem, const LineLayout* lines, void** p) { \
        backward<S, C>(*problem, lines, static_cast<S*>(p[0]), static_cast<S*>(p[1]),            \
                       static_cast<S*>(p[2]), static_cast<C*>(p[3]), static_cast<S*>(p[4]),      \
                       static_cast<S*>(p[5]), static_cast<C*>(p[6]));                            \
    }

EXPORT(float32, float, float)
EXPORT(float64, double, double)
EXPORT(bfloat16, bfloat16, float)
