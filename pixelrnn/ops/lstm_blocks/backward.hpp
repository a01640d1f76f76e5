// The backward pass of native_blocks.cpp. Names: da is the gradient of the gates, dc of c.

#pragma once

#include "../conv_lstm/arithmetic.hpp"
#include "gradients.hpp"

namespace {

// The derivative of `activate`; h has two gradients, which are added. dc becomes that of `before`.
[[gnu::noinline]] void activate_backward(const Planes<const float> of, const float* before,
                                         const float* c, const float* from_out,
                                         const float* from_states, float* dc,
                                         const Planes<float> da, Index n) {
#pragma omp simd
    for (Index j = 0; j < n; ++j) {
        const CellGradient<float> gradient =
            equation_3_backward(of.o[j], of.f[j], of.i[j], of.g[j], before[j], c[j],
                                from_out[j] + from_states[j], dc[j]);
        da.o[j] = gradient.o;
        da.f[j] = gradient.f;
        da.i[j] = gradient.i;
        da.g[j] = gradient.g;
        dc[j] = gradient.before;
    }
}

// The weights of one block, transposed. Planes of da are read as taps.
struct BackwardWeights {
    Packed in[2], above[2], beside[2], up, aside;

    BackwardWeights(const Layout& at, Index block) {
        const Weights of(at, block);
        const Index F = at.width, S = at.stream;
        for (Index d = 0; d < at.job.directions; ++d) {
            const auto state = [&](Index tap, Index f, Index i) {
                return of.state(d, tap / 4, i, tap % 4 * F + f);
            };
            in[d] = Packed(4 * at.input_taps, F, S, [&](Index tap, Index f, Index i) {
                return of.input(d, tap / 4, i, tap % 4 * F + f);
            });
            above[d] = Packed(4 * at.above_taps, F, F, state);
            if (at.job.diagonal)
                beside[d] = Packed(4, F, F, [&](Index tap, Index f, Index i) {
                    return state(4 + tap, f, i);
                });
        }
        up = Packed(1, S, F, [&](Index, Index o, Index i) { return of.out(up_weight, i, o); });
        if (at.job.total_gradient)
            aside =
                Packed(1, S, F, [&](Index, Index o, Index i) { return of.out(aside_weight, i, o); });
    }
};

// One part through all blocks, from the last row of the last block to the first.
class BackwardPart {
  public:
    BackwardPart(const Layout& at, const std::vector<BackwardWeights>& weights, const Sums& places,
                 const Part& part, float* sums)
        : at_(at), weights_(weights), places_(places), part_(part), all_sums_(sums),
          store_(at, part), pixels_(at.job.columns * part.count), column_(part.count * at.width),
          plane_(pixels_ * at.width), right_(std::max(at.side, at.margin)),
          apart_((at.side + at.job.columns + right_) * column_),
          stream_(at.job.rows * pixels_ * at.stream),
          total_(at.job.total_gradient ? stream_.size() : 0), inside_(plane_) {
        for (Index d = 0; d < at.job.directions; ++d) {
            da_[d].resize(4 * apart_);
            states_[d].resize(plane_);
            cells_[d].resize(at.job.diagonal ? column_ : plane_);
        }
        for (std::vector<float>& row : rows_) row.resize(plane_);
        for (Index tap = 0; tap < 4 * at.input_taps; ++tap)
            of_input_.push_back(tap % 4 * apart_ + (at.margin - tap / 4) * column_);
        for (Index tap = 0; tap < 4 * at.above_taps; ++tap)
            of_above_.push_back(tap % 4 * apart_ + (at.above_taps / 2 - tap / 4) * column_);
        for (Index gate = 0; gate < 4; ++gate) of_gates_.push_back(gate * apart_);
    }

    void run() {
        const Job& job = at_.job;
        for (Index r = 0; r < job.rows; ++r) {
            if (job.output_gradient) take_row(at_, part_, job.output_gradient, r, stream(r));
            if (job.total_gradient) take_row(at_, part_, job.total_gradient, r, total(r));
        }
        for (Index block = job.blocks - 1; block >= 0; --block) {
            sums_ = all_sums_ + block * places_.size;
            for (auto* vectors : {states_, cells_, rows_})
                for (Index i = 0; i < 2; ++i) std::fill(vectors[i].begin(), vectors[i].end(), 0.0f);
            for (Index r = job.rows - 1; r >= 0; --r) {
                descend(block, r);
                for (Index d = 0; d < job.directions; ++d) recur(block, d, r);
                for (Index d = 0; d < job.directions; ++d) leave(block, d, r);
            }
        }
        for (Index r = 0; r < job.rows; ++r) put_row(at_, part_, stream(r), r, job.input_gradient);
    }

  private:
    float* stream(Index r) { return stream_.data() + r * pixels_ * at_.stream; }
    float* total(Index r) { return total_.data() + r * pixels_ * at_.stream; }
    float* da(Index d) { return da_[d].data() + at_.side * column_; }  // of the first pixel
    // The gradient of what goes up from row r.
    std::vector<float>& row(Index r) { return rows_[r % 2]; }

    // The gradients of the last 1 x 1, of what goes aside, and of what is inside.
    void descend(Index block, Index r) {
        const Index F = at_.width, S = at_.stream;
        const float *g = stream(r), *inside = store_.hidden(block, 0, r + 1);
        float* to = row(r).data();
        const auto done = [&](Index p, Index j, Vector sum) { store(to + p * F + j, sum); };
        if (at_.job.diagonal && r > 0) {
            const float* right = store_.hidden(block, 1, r);
            for (Index i = 0; i < plane_; ++i) inside_[i] = inside[i] + right[i];
            inside = inside_.data();
        }
        const Factor up{g, weights_[block].up.weight(), {&here_, 1}};
        if (at_.job.total_gradient) {
            product(up, {total(r), weights_[block].aside.weight(), {&here_, 1}}, pixels_, done);
            outer(inside, F, total(r), S, pixels_, sums_ + places_.aside);
        } else {
            product(g, up.weight, up.taps, pixels_, done);
        }
        outer(inside, F, g, S, pixels_, sums_ + places_.up);
        add_up(g, S, pixels_, sums_ + places_.up_bias);
    }
    // The gradients of the gates of one row, and of the initial c.
    void recur(Index block, Index d, Index r) {
        float* states = states_[d].data();
        const float* out = row(d == 0 ? r : r + 1).data();  // the right is seen a row below
        if (!at_.job.diagonal) {
            cells(block, d, r, 0, out, store_.cell(block, d, r), plane_);
            if (r == 0) add_up(cells_[d].data(), at_.width, pixels_, sums_ + places_.cell[d]);
            return;
        }
        const Index back = d == 0 ? -column_ : column_;
        std::fill(cells_[d].begin(), cells_[d].end(), 0.0f);
        for (Index step = at_.job.columns - 1; step >= 0; --step) {
            const Index c = (d == 0 ? step : at_.job.columns - 1 - step) * column_;
            if (step + 1 < at_.job.columns)
                product(da(d) + c - back, weights_[block].beside[d].weight(),
                        {of_gates_.data(), 4}, part_.count, [&](Index p, Index j, Vector sum) {
                            float* to = states + c + p * at_.width + j;
                            store(to, load(to) + sum);
                        });
            cells(block, d, r, c, out, store_.cell(block, d, r + 1) + back, column_);
        }
        add_up(cells_[d].data(), at_.width, part_.count, sums_ + places_.cell[d]);
    }
    void cells(Index block, Index d, Index r, Index first, const float* out, const float* before,
               Index n) {
        activate_backward({store_.activations(block, d, r) + first, plane_}, before + first,
                          store_.cell(block, d, r + 1) + first, out + first,
                          states_[d].data() + first, cells_[d].data(), {da(d) + first, apart_}, n);
    }
    // What flows from the gates of one row: to x, to the row above, and to all weights.
    void leave(Index block, Index d, Index r) {
        const Index F = at_.width, S = at_.stream, n = part_.count;
        const float *g = da(d), *above = store_.hidden(block, d, r);
        for (Index tap = 0; tap < at_.input_taps; ++tap)
            add_outer(store_.x(block, r) + (tap - at_.margin) * n * S, S, g,
                      sums_ + places_.input[d] + tap * S * at_.gates);
        add_columns(d, 0, at_.job.columns, sums_ + places_.bias[d]);
        const Index kernel = F * at_.gates;
        for (Index tap = 0; tap < at_.above_taps; ++tap)
            add_outer(above + (tap - at_.above_taps / 2) * column_, F, g,
                      sums_ + places_.state[d] + tap * kernel);
        if (at_.job.diagonal)
            add_outer(store_.hidden(block, d, r + 1) + (d == 0 ? -column_ : column_), F, g,
                      sums_ + places_.state[d] + kernel);
        add_edges(d, r);
        if (r > 0)
            product(g, weights_[block].above[d].weight(),
                    {of_above_.data(), 4 * at_.above_taps}, pixels_,
                    [&](Index p, Index j, Vector sum) {
                        store(states_[d].data() + p * F + j, sum);
                    });
        float* to = stream(r);
        const bool adds = at_.job.residual || d > 0;
        product(g, weights_[block].in[d].weight(), {of_input_.data(), 4 * at_.input_taps}, pixels_,
                [&](Index p, Index j, Vector sum) {
                    const Index i = p * S + j;
                    store(to + i, adds ? load(to + i) + sum : sum);
                });
    }
    void add_outer(const float* x, Index width, const float* g, float* to) const {
        outer_planes(x, width, g, at_.width, 4, apart_, pixels_, to);
    }
    // Adds da of some columns up.
    void add_columns(Index d, Index from, Index stop, float* to) {
        for (Index gate = 0; gate < 4; ++gate)
            add_up(da(d) + gate * apart_ + from * column_, at_.width,
                   std::max<Index>(0, stop - from) * part_.count, to + gate * at_.width);
    }
    // Adds da up where a tap reads the initial h: all of the first row, and what reads beside it.
    void add_edges(Index d, Index r) {
        const Index columns = at_.job.columns;
        for (Index tap = 0; tap < at_.job.state_taps; ++tap) {
            float* to = sums_ + places_.edges[d] + tap * at_.gates;
            const bool beside = at_.job.diagonal && tap == 1;
            if (r == 0 && !beside) {
                add_columns(d, 0, columns, to);
            } else if (at_.job.diagonal) {
                if (beside) add_columns(d, d == 0 ? 0 : columns - 1, d == 0 ? 1 : columns, to);
            } else {
                const Index reach = tap - at_.side;
                add_columns(d, 0, std::min(columns, -reach), to);
                add_columns(d, reach > 0 ? std::max<Index>(0, columns - reach) : columns, columns,
                            to);
            }
        }
    }

    const Layout& at_;
    const std::vector<BackwardWeights>& weights_;
    const Sums& places_;
    Part part_;
    float *all_sums_, *sums_ = nullptr;
    Store store_;
    Index pixels_, column_, plane_, right_, apart_, here_ = 0;
    std::vector<float> stream_, total_, inside_, da_[2], states_[2], cells_[2], rows_[2];
    std::vector<Index> of_input_, of_above_, of_gates_;
};

}  // namespace
