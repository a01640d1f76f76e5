// The gradients of a block's weights: where they are added up, and how they leave.

#pragma once

#include "layout.hpp"

namespace {

// Where sums of one block's gradients lie, padded: (tap, input, gate) for kernels, (h, 2h) for up.
struct Sums {
    Index input[2], bias[2], state[2];
    Index edges[2];  // (tap, gate): da of all that reads the initial h
    Index cell[2], up, up_bias, aside, size = 0;

    explicit Sums(const Layout& at) {
        const auto of = [&](Index count) { return (size += count) - count; };
        for (Index d = 0; d < at.job.directions; ++d) {
            input[d] = of(at.input_taps * at.stream * at.gates);
            bias[d] = of(at.gates);
            state[d] = of(at.job.state_taps * at.width * at.gates);
            edges[d] = of(at.job.state_taps * at.gates);
            cell[d] = of(at.width);
        }
        up = of(at.width * at.stream);
        up_bias = of(at.stream);
        aside = of(at.width * at.stream);
    }
};

// Writes the gradients of one block, from sums of all groups.
class Gradients {
  public:
    Gradients(const Layout& at, const Sums& places, const float* sums, Index block)
        : at_(at), places_(places), sums_(sums), block_(block), weights_(at, block) {}

    void write() const {
        const Index h = at_.job.hidden, D = at_.job.directions;
        for (Index d = 0; d < D; ++d) {
            for (Index q = 0; q < 4; ++q)
                for (Index f = 0; f < h; ++f) of_gate(d, (d * 4 + q) * h + f, q * at_.width + f);
            for (Index i = 0; i < h; ++i) of_state(d, i);
        }
        for (Index o = 0; o < 2 * h; ++o) {
            to(up_bias)[o] = sums_[places_.up_bias + o];
            for (Index i = 0; i < h; ++i) {
                to(up_weight)[o * h + i] = sums_[places_.up + i * at_.stream + o];
                if (to(aside_weight) != nullptr)
                    to(aside_weight)[o * h + i] = sums_[places_.aside + i * at_.stream + o];
            }
        }
    }

  private:
    float* to(Kind kind) const { return at_.job.gradients[block_ * kinds + kind]; }
    // The row of the input's weight of one gate, and its bias.
    void of_gate(Index d, Index row, Index gate) const {
        const Index h = at_.job.hidden, stored = at_.job.stored_taps;
        const float* sums = sums_ + places_.input[d] + gate;
        to(input_bias)[row] = sums_[places_.bias[d] + gate];
        for (Index i = 0; i < 2 * h; ++i)
            for (Index tap = 0; tap < stored; ++tap)
                to(input_weight)[(row * 2 * h + i) * stored + tap] =
                    tap < at_.input_taps ? sums[(tap * at_.stream + i) * at_.gates] : 0.0f;
    }
    // The rows of the state's weights that read feature i, and the initial state of that feature.
    void of_state(Index d, Index i) const {
        const Index h = at_.job.hidden, taps = at_.job.state_taps;
        float initial = 0.0f;
        for (Index tap = 0; tap < taps; ++tap) {
            const float* sums = sums_ + places_.state[d] + (tap * at_.width + i) * at_.gates;
            const float* edges = sums_ + places_.edges[d] + tap * at_.gates;
            for (Index q = 0; q < 4; ++q)
                for (Index f = 0; f < h; ++f) {
                    const Index gate = q * at_.width + f;
                    to(state_weight)[(((d * taps + tap) * h + i) * 4 + q) * h + f] = sums[gate];
                    initial += weights_.state(d, tap, i, gate) * edges[gate];
                }
        }
        to(first_hidden)[d * h + i] = initial;
        to(first_cell)[d * h + i] = sums_[places_.cell[d] + i];
    }

    const Layout& at_;
    const Sums& places_;
    const float* sums_;
    Index block_;
    Weights weights_;
};

}  // namespace
