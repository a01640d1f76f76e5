// What both passes of native_loops.cpp use: vectors of features, where the numbers of a line lie,
// how images are shared among threads, and weights laid out for products in registers.
//
// Axes: D directions, T lines, L positions on a line, B batch, F features, K taps; N active
// positions of all lines. S is the storage type, C the type of the state and of all arithmetic.
// Batch and features of every tensor are contiguous.

#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "arithmetic.hpp"

namespace {

using Index = std::int64_t;

constexpr Index lanes = 16;

template <class C> struct Lanes;
template <> struct Lanes<float> {
    typedef float type __attribute__((vector_size(lanes * sizeof(float))));
};
template <> struct Lanes<double> {
    typedef double type __attribute__((vector_size(lanes * sizeof(double))));
};

template <class C> inline typename Lanes<C>::type vector_at(const C* from) {
    typename Lanes<C>::type result;
    std::memcpy(&result, from, sizeof result);
    return result;
}

template <class C, class S> inline void take(C* to, const S* from, Index n) {
    if (n == lanes)
        for (Index j = 0; j < lanes; ++j) to[j] = load<C>(from[j]);
    else
        for (Index j = 0; j < n; ++j) to[j] = load<C>(from[j]);
}

template <class S, class C> inline void put(S* to, const C* from, Index n) {
    if (n == lanes)
        for (Index j = 0; j < lanes; ++j) to[j] = store<S>(from[j]);
    else
        for (Index j = 0; j < n; ++j) to[j] = store<S>(from[j]);
}

// Rows in the type of the arithmetic: themselves if they are, else a copy.
inline const float* converted(const float* row, float*, Index) { return row; }
inline const double* converted(const double* row, double*, Index) { return row; }
inline const float* converted(const bfloat16* row, float* buffer, Index n) {
    for (Index j = 0; j < n; ++j) buffer[j] = load<float>(row[j]);
    return buffer;
}

// Active positions are [start, start + size). What is kept of them is stored from `stored` on,
// their states from `state` on, the states before them from `before` on. The initial state is
// stored for `below` positions before the active ones and for `above` after them. The Python side
// is `LineLayout` of active_positions.py.
struct LineLayout {
    Index start, size, stored, state, before, below, above;
};

struct Problem {
    Index D, T, L, B, F, K, pad;
    Index N, states;                                       // positions stored per direction
    Index gates_direction, gates_line, gates_position;     // strides in elements, of the gates
    Index output_direction, output_line, output_position;  // of the gradient of the output
    Index threads;

    Index images() const {  // that a thread takes at a time
        const Index share = (B * D + threads - 1) / threads;
        // At least 1, as others divide by it: without images there are no parts, and no work.
        return std::max<Index>(1, std::min<Index>({B, (share + 7) / 8 * 8, 16}));
    }
    bool parallel() const { return threads > 1 && D * N * B * F > 4096; }
    Index vectors() const { return (F + lanes - 1) / lanes; }
    Index gates_at(Index d, Index t, Index l, Index b) const {
        return d * gates_direction + t * gates_line + l * gates_position + b * 4 * F;
    }
    Index output_at(Index d, Index t, Index l, Index b) const {
        return d * output_direction + t * output_line + l * output_position + b * F;
    }
    Index hidden_at(Index d, Index t, Index l, Index b) const {
        return (((d * (T + 1) + t) * (L + K - 1) + l) * B + b) * F;
    }
    Index kept_at(Index d, Index position, Index b) const {
        return ((d * N + position) * B + b) * 4 * F;
    }
    Index state_at(Index d, Index position, Index b) const {
        return ((d * states + position) * B + b) * F;
    }
};

// Calls work(d, first image, number of images) for all of them.
template <class Work> void share_images(const Problem& p, const Work& work) {
    const Index images = p.images(), parts = (p.B + images - 1) / images;
#pragma omp parallel for schedule(dynamic) num_threads(p.threads) if (p.parallel())
    for (Index part = 0; part < p.D * parts; ++part) {
        const Index b = part % parts * images;
        work(part / parts, b, std::min(images, p.B - b));
    }
}

// Calls work<R>(image) for blocks of R images, R as large as it can be.
template <int R, class Work> inline void in_blocks(Index images, const Work& work) {
    Index b = 0;
    for (; b + R <= images; b += R) work(std::integral_constant<int, R>(), b);
    for (; b < images; ++b) work(std::integral_constant<int, 1>(), b);
}

// (direction, vector, K, F, gate, lane); zero where there is no feature.
template <class C, class S> std::vector<C> packed(const Problem& p, const S* weight) {
    std::vector<C> result(p.D * p.vectors() * p.K * p.F * 4 * lanes, C(0));
    const Index rows = p.K * p.F;
    for (Index d = 0; d < p.D; ++d)
    for (Index row = 0; row < rows; ++row)
    for (Index q = 0; q < 4; ++q)
    for (Index j = 0; j < p.F; ++j) {
        const Index vector = d * p.vectors() + j / lanes;
        result[((vector * rows + row) * 4 + q) * lanes + j % lanes] =
            load<C>(weight[((d * rows + row) * 4 + q) * p.F + j]);
    }
    return result;
}

// (direction, vector, K, 4F, lane): the same taps, transposed.
template <class C, class S> std::vector<C> packed_transposed(const Problem& p, const S* weight) {
    std::vector<C> result(p.D * p.vectors() * p.K * 4 * p.F * lanes, C(0));
    for (Index d = 0; d < p.D; ++d)
    for (Index k = 0; k < p.K; ++k)
    for (Index j = 0; j < p.F; ++j)
    for (Index gate = 0; gate < 4 * p.F; ++gate) {
        const Index vector = d * p.vectors() + j / lanes;
        result[((vector * p.K + k) * 4 * p.F + gate) * lanes + j % lanes] =
            load<C>(weight[((d * p.K + k) * p.F + j) * 4 * p.F + gate]);
    }
    return result;
}

}  // namespace
