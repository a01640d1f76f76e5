// The forward pass of native_blocks.cpp.

#pragma once

#include "../conv_lstm/arithmetic.hpp"
#include "layout.hpp"

namespace {

// Equation 3 for n features: gates, and activations, which lie elsewhere: a product's vectors are
// best written to where they are in the cache. A call of its own, so that compilers see a loop to
// vectorise.
[[gnu::noinline]] void activate(const Planes<const float> gates, const float* before, float* c,
                                float* h, const Planes<float> kept, Index n) {
#pragma omp simd
    for (Index j = 0; j < n; ++j) {
        const CellOutput<float> cell =
            equation_3(gates.o[j], gates.f[j], gates.i[j], gates.g[j], before[j]);
        kept.o[j] = cell.o;
        kept.f[j] = cell.f;
        kept.i[j] = cell.i;
        kept.g[j] = cell.g;
        c[j] = cell.c;
        h[j] = cell.h;
    }
}

// The weights of one block.
struct ForwardWeights {
    Packed in[2], above[2], beside[2], out;
    std::vector<float> bias[2], out_bias;

    ForwardWeights(const Layout& at, Index block) : out_bias(2 * at.stream) {
        const Weights of(at, block);
        const Index F = at.width, S = at.stream;
        for (Index d = 0; d < at.job.directions; ++d) {
            const auto state = [&](Index k, Index i, Index gate) { return of.state(d, k, i, gate); };
            in[d] = Packed(at.input_taps, S, at.gates,
                           [&](Index k, Index i, Index gate) { return of.input(d, k, i, gate); });
            above[d] = Packed(at.above_taps, F, at.gates, state);
            if (at.job.diagonal)
                beside[d] = Packed(1, F, at.gates, [&](Index, Index i, Index gate) {
                    return state(1, i, gate);
                });
            for (Index gate = 0; gate < at.gates; ++gate) bias[d].push_back(of.bias(d, gate));
        }
        out = Packed(1, F, at.job.total ? 2 * S : S, [&](Index, Index i, Index o) {
            return o < S ? of.out(up_weight, i, o) : of.out(aside_weight, i, o - S);
        });
        std::copy_n(at.tensor(block, up_bias), 2 * at.job.hidden, out_bias.data());
    }
};

// One part through all blocks.
class ForwardPart {
  public:
    ForwardPart(const Layout& at, const std::vector<ForwardWeights>& weights, const Part& part)
        : at_(at), weights_(weights), part_(part), store_(at, part),
          pixels_(at.job.columns * part.count), plane_(pixels_ * at.width),
          gates_(4 * plane_), inside_(at.job.diagonal ? plane_ : 0), output_(pixels_ * at.stream),
          total_(at.job.total ? at.job.rows * pixels_ * at.stream : 0) {
        for (Index tap = 0; tap < at.input_taps; ++tap)
            of_input_.push_back((tap - at.margin) * part.count * at.stream);
        for (Index tap = 0; tap < at.above_taps; ++tap)
            of_above_.push_back((tap - at.above_taps / 2) * part.count * at.width);
        for (Index gate = 0; gate < at.gates; gate += lanes)
            places_.push_back(gate / at.width * plane_ + gate % at.width);
    }

    void run() {
        const Job& job = at_.job;
        for (Index r = 0; r < job.rows; ++r) {
            take_row(at_, part_, job.input, r, store_.x(0, r));
            if (job.total) take_row(at_, part_, job.start, r, total(r));
        }
        for (Index block = 0; block < job.blocks; ++block) {
            store_.begin(block);
            for (Index r = 0; r < job.rows; ++r) {
                for (Index d = 0; d < job.directions; ++d) recur(block, d, r);
                ascend(block, r, inside(block, r));
            }
        }
        for (Index r = 0; job.total && r < job.rows; ++r)
            put_row(at_, part_, total(r), r, job.total);
    }

  private:
    float* total(Index r) { return total_.data() + r * pixels_ * at_.stream; }

    void recur(Index block, Index d, Index r) {
        const ForwardWeights& weights = weights_[block];
        float* gates = gates_.data();
        float* kept = store_.activations(block, d, r);
        const float* bias = weights.bias[d].data();
        const Taps input{of_input_.data(), at_.input_taps}, above{of_above_.data(), at_.above_taps};
        product({store_.x(block, r), weights.in[d].weight(), input},
                {store_.hidden(block, d, r), weights.above[d].weight(), above}, pixels_,
                [&](Index p, Index gate, Vector sum) {
                    store(gates + places_[gate / lanes] + p * at_.width, sum + load(bias + gate));
                });
        float *hidden = store_.hidden(block, d, r + 1), *cell = store_.cell(block, d, r + 1);
        if (!at_.job.diagonal)
            return activate({gates, plane_}, store_.cell(block, d, r), cell, hidden,
                            {kept, plane_}, plane_);
        const Index column = part_.count * at_.width, back = d == 0 ? -column : column;
        for (Index step = 0; step < at_.job.columns; ++step) {
            const Index c = (d == 0 ? step : at_.job.columns - 1 - step) * column;
            product(hidden + c + back, weights.beside[d].weight(), {&here_, 1}, part_.count,
                    [&](Index p, Index gate, Vector sum) {
                        float* to = gates + places_[gate / lanes] + c + p * at_.width;
                        store(to, load(to) + sum);
                    });
            activate({gates + c, plane_}, cell + c + back, cell + c, hidden + c,
                     {kept + c, plane_}, column);
        }
    }
    // What goes up: h, or that of the left and, shifted down by a row, of the right.
    const float* inside(Index block, Index r) {
        const float* left = store_.hidden(block, 0, r + 1);
        if (!at_.job.diagonal || r == 0) return left;
        const float* right = store_.hidden(block, 1, r);
        for (Index i = 0; i < plane_; ++i) inside_[i] = left[i] + right[i];
        return inside_.data();
    }
    void ascend(Index block, Index r, const float* inside) {
        const Index stream = at_.stream;
        const bool last = block + 1 == at_.job.blocks;
        const float *x = store_.x(block, r), *bias = weights_[block].out_bias.data();
        float *y = last ? output_.data() : store_.x(block + 1, r), *sum_of_skips = total(r);
        product(inside, weights_[block].out.weight(), {&here_, 1}, pixels_,
                [&](Index p, Index j, Vector sum) {
                    const Index i = p * stream + j;
                    if (j < stream) {
                        sum += load(bias + j);
                        store(y + i, at_.job.residual ? sum + load(x + i) : sum);
                    } else {
                        float* to = sum_of_skips + i - stream;
                        store(to, load(to) + sum);
                    }
                });
        if (last) put_row(at_, part_, y, r, at_.job.output);
    }

    const Layout& at_;
    const std::vector<ForwardWeights>& weights_;
    Part part_;
    Store store_;
    Index pixels_, plane_, here_ = 0;
    std::vector<float> gates_, inside_, output_, total_;
    std::vector<Index> of_input_, of_above_, places_;
};

}  // namespace
