// Products of pixels with small weights, in float, written for registers.
//
// Pixels are rows of features, a multiple of `slots` wide; what is beyond the features is zero.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace products {

using Index = std::int64_t;

constexpr Index slots = 16;

#ifdef __AVX512F__
constexpr Index lanes = 16;
constexpr int pixels_at_once = 12, outer_at_once = 8;  // what 32 registers hold
#else
constexpr Index lanes = 8;
constexpr int pixels_at_once = 6, outer_at_once = 4;
#endif

typedef float Vector __attribute__((vector_size(lanes * sizeof(float))));

inline Vector load(const float* from) {
    Vector result;
    std::memcpy(&result, from, sizeof result);
    return result;
}

inline void store(float* to, Vector value) { std::memcpy(to, &value, sizeof value); }

inline Vector relu(Vector x) { return x < 0 ? Vector{} : x; }  // NaN stays NaN

// The gradient of a ReLU, given its result or its argument.
inline Vector passed(Vector gradient, Vector x) { return x <= 0 ? Vector{} : gradient; }

inline Index padded(Index features) { return (features + slots - 1) / slots * slots; }

// Where each tap reads, in elements from the pixel itself.
struct Taps {
    const Index* offsets;
    Index count;
};

// A weight (tap, input, output), laid out as (panel, tap, input, output of the panel). A panel is
// two vectors wide; the last one may be one vector wide.
struct Weight {
    const float* data;
    Index inputs, outputs;  // padded
};

// sums += what the taps of R pixels give. A call would keep the sums in memory.
template <int R, int V, Index Width>
[[gnu::always_inline]] inline void accumulate(Vector (&sums)[R][V], const float* x,
                                              Index width, const Taps& taps, const float* weight) {
    const Index inputs = Width ? Width : width;
    for (Index tap = 0; tap < taps.count; ++tap) {
        const float* from = x + taps.offsets[tap];
        for (Index k = 0; k < inputs; ++k, weight += V * lanes) {
            Vector w[V];
            for (int v = 0; v < V; ++v) w[v] = load(weight + v * lanes);
            for (int r = 0; r < R; ++r)
                for (int v = 0; v < V; ++v) sums[r][v] += w[v] * from[r * inputs + k];
        }
    }
}

template <int R, int V, Index Width, class Done>
inline void multiply(const float* x, Index width, const Taps& taps, const float* weight,
                     const Done& done) {
    Vector sums[R][V] = {};
    accumulate<R, V, Width>(sums, x, width, taps, weight);
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) done(r, v * lanes, sums[r][v]);
}

template <int V, Index Width, class Done>
inline void panel(const float* x, const Weight& weight, const Taps& taps, Index pixels,
                  Index first, const Done& done) {
    const float* from = weight.data + first * weight.inputs * taps.count;
    const Index width = Width ? Width : weight.inputs;
    Index pixel = 0;
    const auto some = [&](auto count) {
        for (; pixel + count() <= pixels; pixel += count())
            multiply<count(), V, Width>(
                x + pixel * width, width, taps, from,
                [&](Index r, Index lane, Vector sum) { done(pixel + r, first + lane, sum); });
    };
    some(std::integral_constant<int, pixels_at_once>());
    some(std::integral_constant<int, 4>());
    some(std::integral_constant<int, 1>());
}

template <Index Width, class Done>
inline void panels(const float* x, const Weight& weight, const Taps& taps, Index pixels,
                   const Done& done) {
    Index first = 0;
    for (; first + 2 * lanes <= weight.outputs; first += 2 * lanes)
        panel<2, Width>(x, weight, taps, pixels, first, done);
    if (first < weight.outputs) panel<1, Width>(x, weight, taps, pixels, first, done);
}

// Calls done(pixel, feature, vector of sums over taps and inputs) for all outputs of the pixels.
// The input pixels lie one after the other; x is the first. Every sum has one order.
template <class Done>
inline void product(const float* x, const Weight& weight, const Taps& taps, Index pixels,
                    const Done& done) {
    switch (weight.inputs) {  // a width known to the compiler saves the addresses' arithmetic
        case 16: return panels<16>(x, weight, taps, pixels, done);
        case 32: return panels<32>(x, weight, taps, pixels, done);
        case 64: return panels<64>(x, weight, taps, pixels, done);
        case 128: return panels<128>(x, weight, taps, pixels, done);
        case 256: return panels<256>(x, weight, taps, pixels, done);
        default: return panels<0>(x, weight, taps, pixels, done);
    }
}

// Pixels that lie one after the other, their weight, and where its taps read.
struct Factor {
    const float* x;
    Weight weight;
    Taps taps;
};

template <int V, Index A, Index B, class Done>
inline void panel_of_two(const Factor& a, const Factor& b, Index pixels, Index first,
                         const Done& done) {
    const Index a_width = A ? A : a.weight.inputs, b_width = B ? B : b.weight.inputs;
    const float* of_a = a.weight.data + first * a.weight.inputs * a.taps.count;
    const float* of_b = b.weight.data + first * b.weight.inputs * b.taps.count;
    Index pixel = 0;
    const auto some = [&](auto count) {
        for (; pixel + count() <= pixels; pixel += count()) {
            Vector sums[count()][V] = {};
            accumulate<count(), V, A>(sums, a.x + pixel * a_width, a_width, a.taps, of_a);
            accumulate<count(), V, B>(sums, b.x + pixel * b_width, b_width, b.taps, of_b);
            for (int r = 0; r < count(); ++r)
                for (int v = 0; v < V; ++v) done(pixel + r, first + v * lanes, sums[r][v]);
        }
    };
    some(std::integral_constant<int, pixels_at_once>());
    some(std::integral_constant<int, 4>());
    some(std::integral_constant<int, 1>());
}

template <Index A, Index B, class Done>
inline void panels_of_two(const Factor& a, const Factor& b, Index pixels, const Done& done) {
    Index first = 0;
    for (; first + 2 * lanes <= a.weight.outputs; first += 2 * lanes)
        panel_of_two<2, A, B>(a, b, pixels, first, done);
    if (first < a.weight.outputs) panel_of_two<1, A, B>(a, b, pixels, first, done);
}

// The sum of two products with the same outputs, handed to `done` like that of one.
template <class Done>
inline void product(const Factor& a, const Factor& b, Index pixels, const Done& done) {
    const Index widths[] = {a.weight.inputs, b.weight.inputs};
    const auto are = [&](Index x, Index y) { return widths[0] == x && widths[1] == y; };
    if (are(32, 16)) return panels_of_two<32, 16>(a, b, pixels, done);
    if (are(32, 32)) return panels_of_two<32, 32>(a, b, pixels, done);
    if (are(64, 32)) return panels_of_two<64, 32>(a, b, pixels, done);
    if (are(64, 64)) return panels_of_two<64, 64>(a, b, pixels, done);
    return panels_of_two<0, 0>(a, b, pixels, done);
}

// The vectors of a pixel lie `apart` in g and in the sums: a known distance, where it is inlined.
template <int K, int V>
[[gnu::always_inline]] inline void outer_block(const float* x, Index x_width, const float* g,
                                               Index g_width, Index g_apart, Index pixels,
                                               float* to, Index to_width, Index to_apart) {
    Vector sums[K][V];
    for (int k = 0; k < K; ++k)
        for (int v = 0; v < V; ++v) sums[k][v] = load(to + k * to_width + v * to_apart);
    for (Index p = 0; p < pixels; ++p, x += x_width, g += g_width) {
        Vector of[V];
        for (int v = 0; v < V; ++v) of[v] = load(g + v * g_apart);
        for (int k = 0; k < K; ++k)
            for (int v = 0; v < V; ++v) sums[k][v] += of[v] * x[k];
    }
    for (int k = 0; k < K; ++k)
        for (int v = 0; v < V; ++v) store(to + k * to_width + v * to_apart, sums[k][v]);
}

// to[i, j] += sum over pixels of x[pixel, i] g[pixel, j].
inline void outer(const float* x, Index x_width, const float* g, Index g_width, Index pixels,
                  float* to) {
    for (Index i = 0; i < x_width; i += outer_at_once) {
        float* row = to + i * g_width;
        Index j = 0;
        for (; j + 2 * lanes <= g_width; j += 2 * lanes)
            outer_block<outer_at_once, 2>(x + i, x_width, g + j, g_width, lanes, pixels, row + j,
                                          g_width, lanes);
        if (j < g_width)
            outer_block<outer_at_once, 1>(x + i, x_width, g + j, g_width, lanes, pixels, row + j,
                                          g_width, lanes);
    }
}

// to[i, plane, j] += sum over pixels of x[pixel, i] g[plane, pixel, j], where an even number of
// planes lie `apart`.
inline void outer_planes(const float* x, Index x_width, const float* g, Index width, Index planes,
                         Index apart, Index pixels, float* to) {
    for (Index i = 0; i < x_width; i += outer_at_once)
        for (Index plane = 0; plane < planes; plane += 2)
            for (Index j = 0; j < width; j += lanes)
                outer_block<outer_at_once, 2>(x + i, x_width, g + plane * apart + j, width, apart,
                                              pixels, to + (i * planes + plane) * width + j,
                                              planes * width, width);
}

// to[j] += sum over pixels of g[pixel, j].
inline void add_up(const float* g, Index width, Index pixels, float* to) {
    for (Index j = 0; j < width; j += lanes) {
        Vector sum = load(to + j);
        for (Index p = 0; p < pixels; ++p) sum += load(g + p * width + j);
        store(to + j, sum);
    }
}

// Lays a weight out for `product`: value(tap, input, output) of those that there are, else zero.
template <class Value>
inline void pack(float* to, Index taps, Index inputs, Index outputs, const Value& value) {
    const Index wide = padded(outputs);
    for (Index first = 0; first < wide; first += 2 * lanes)
        for (Index tap = 0; tap < taps; ++tap)
            for (Index k = 0; k < padded(inputs); ++k)
                for (Index j = first; j < std::min(first + 2 * lanes, wide); ++j)
                    *to++ = k < inputs && j < outputs ? value(tap, k, j) : 0.0f;
}

}  // namespace products
