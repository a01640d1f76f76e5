// Numbers, and the pointwise part of equation 3 and its derivative for one feature at one position.
//
// The reference of `equation_3` is `reference.equation_3` in Python, that of its derivative
// `cell.equation_3_backward`; tests/ops/conv_lstm/test_cell.py and test_autograd.py hold what is
// compiled from this file equal to them.
//
// exp and tanh of float are written out, after Cephes, so that every compiler vectorises them:
// errors stay within 2 ulp. double takes those of the standard library: it serves tests.

#pragma once

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

// Activations, and the state after them.
template <class C> struct CellOutput {
    C o, f, i, g, c, h;
};

// Equation 3, from gates before their nonlinearity and c of the line before.
template <class C> inline CellOutput<C> equation_3(C o, C f, C i, C g, C before) {
    CellOutput<C> cell{logistic(o), logistic(f), logistic(i), hyperbolic_tangent(g), C(0), C(0)};
    cell.c = cell.f * before + cell.i * cell.g;
    cell.h = cell.o * hyperbolic_tangent(cell.c);
    return cell;
}

// Gradients of the gates before their nonlinearity, and of c of the line before.
template <class C> struct CellGradient {
    C o, f, i, g, before;
};

// The derivative of `equation_3`, from activations, c before and after, gradients of h and c after.
template <class C>
inline CellGradient<C> equation_3_backward(C o, C f, C i, C g, C before, C c, C grad_h, C grad_c) {
    const C t = hyperbolic_tangent(c);
    const C dc = grad_c + grad_h * o * (C(1) - t * t);
    return {grad_h * t * o * (C(1) - o), dc * before * f * (C(1) - f), dc * g * i * (C(1) - i),
            dc * i * (C(1) - g * g), dc * f};
}

}  // namespace
