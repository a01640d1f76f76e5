// What both passes of native_blocks.cpp use: the fields of a call, how images are shared among
// threads, where their numbers lie, and weights laid out for products.
//
// Axes: H rows, W columns, n images of a part, D directions. F and S stand for h and 2h, padded.

#pragma once

#include <vector>

#include "../products.hpp"

namespace {

using namespace products;
using products::load;  // beside those of arithmetic.hpp
using products::store;

constexpr Index row_pixels = 96;         // pixels of a row of a Row LSTM's part, at least
constexpr Index diagonal_images = 8;     // images of a part of a Diagonal BiLSTM, at most
constexpr Index most_groups = 16;        // of parts: each has sums of gradients of its own
constexpr Index parallel_from = 200000;  // multiplications: two threads cost more below

enum Kind {
    input_weight, input_bias, state_weight, first_hidden, first_cell, up_weight, up_bias,
    aside_weight, kinds
};

// One call. Kept tensors hold, of all blocks, what the backward pass reads: see `Store`.
struct Job {
    Index rows, columns, batch, hidden, blocks, directions;
    Index stored_taps;  // of an input-to-state kernel; those after its centre are not used
    Index state_taps;
    Index diagonal, residual, kept, threads;
    const float* const* tensors;  // (block, kind), shapes in reference.py
    const float* input;           // (H, W, batch, 2h)
    float *streams, *hidden_states, *cell_states, *activations;
    const float* start;  // (H, W, batch, 2h): what the total begins with; null: none
    float *output, *total;
    float* const* gradients;  // (block, kind)
    const float *output_gradient, *total_gradient;  // null: zero
    float* input_gradient;
};

// Images that a thread takes through all blocks; they meet others in the sums of gradients only.
struct Part {
    Index first, count;
};

struct Layout {
    const Job& job;
    Index width = padded(job.hidden), stream = padded(2 * job.hidden), gates = 4 * width;
    Index input_taps = job.stored_taps / 2 + 1, margin = input_taps - 1;  // columns, left of x
    Index above_taps = job.diagonal ? 1 : job.state_taps;  // taps that read the row above
    Index side = job.diagonal ? 1 : job.state_taps / 2;    // columns beside a row of states
    Index stream_columns = job.columns + margin, state_columns = job.columns + 2 * side;
    Index wanted = job.diagonal ? diagonal_images : (row_pixels + job.columns - 1) / job.columns;
    Index parts = (job.batch + wanted - 1) / wanted, groups = std::min(parts, most_groups);

    Part part(Index number) const {
        const Index first = job.batch * number / parts;
        return {first, job.batch * (number + 1) / parts - first};
    }
    // In floats of one image and block, of one direction where there are several.
    Index of_stream() const { return job.rows * stream_columns * stream; }
    Index of_states() const { return (job.rows + 1) * state_columns * width; }
    Index of_activations() const { return job.rows * job.columns * gates; }

    const float* tensor(Index block, Kind kind) const { return job.tensors[block * kinds + kind]; }
    bool parallel() const {
        return job.threads > 1 &&
               job.rows * job.columns * job.batch * job.blocks * width * gates > parallel_from;
    }
    // Calls work(group) for all groups.
    template <class Work> void share(const Work& work) const {
#pragma omp parallel for schedule(dynamic) num_threads(job.threads) if (parallel())
        for (Index group = 0; group < groups; ++group) work(group);
    }
};

// The numbers of one part: rows of pixels (column, image, feature).
//
// Rows of a stream, the input of a block, have columns of zeros on their left, and rows of states
// have the initial state on both sides; row 0 of the states is the initial one, row r + 1 that of
// the image's row r. Activations of a row are four planes, o, f, i, g. What is not kept for the
// backward pass is memory of the part, the same for all blocks and, of activations, rows.
class Store {
  public:
    Store(const Layout& at, const Part& part) : at_(at), count_(part.count) {
        const Job& job = at.job;
        const Index stream = at.of_stream(), state = at.of_states(), all = job.directions;
        if (job.kept) {
            streams_ = job.streams + part.first * stream;
            hidden_ = job.hidden_states + part.first * state;
            cells_ = job.cell_states + part.first * state;
            activations_ = job.activations + part.first * at.of_activations();
            stream_block_ = job.batch * stream, state_direction_ = job.batch * state;
            activations_direction_ = job.batch * at.of_activations();
            blocks_ = all;
            activations_row_ = count_ * job.columns * at.gates;
        } else {
            state_direction_ = count_ * state;
            activations_direction_ = count_ * job.columns * at.gates;
            own_.resize(count_ * stream + all * (2 * state_direction_ + activations_direction_));
            streams_ = own_.data();
            hidden_ = streams_ + count_ * stream;
            cells_ = hidden_ + all * state_direction_;
            activations_ = cells_ + all * state_direction_;
        }
    }
    // The first pixel of a row.
    float* x(Index block, Index r) {
        const Index row = count_ * at_.stream;
        return streams_ + block * stream_block_ + (r * at_.stream_columns + at_.margin) * row;
    }
    float* hidden(Index block, Index d, Index r) { return hidden_ + state(block, d, r); }
    float* cell(Index block, Index d, Index r) { return cells_ + state(block, d, r); }
    float* activations(Index block, Index d, Index r) {
        return activations_ + (block * blocks_ + d) * activations_direction_ +
               r * activations_row_;
    }
    // Writes margins and initial states of a block.
    void begin(Index block) {
        for (Index r = 0; r < at_.job.rows; ++r) {
            const Index zeros = at_.margin * count_ * at_.stream;
            std::fill_n(x(block, r) - zeros, zeros, 0.0f);
        }
        for (Index d = 0; d < at_.job.directions; ++d) {
            fill(hidden_ + start(block, d), at_.tensor(block, first_hidden) + d * at_.job.hidden);
            fill(cells_ + start(block, d), at_.tensor(block, first_cell) + d * at_.job.hidden);
        }
    }

  private:
    Index start(Index block, Index d) const { return (block * blocks_ + d) * state_direction_; }
    Index state(Index block, Index d, Index r) const {
        return start(block, d) + (r * at_.state_columns + at_.side) * count_ * at_.width;
    }
    void fill(float* states, const float* initial) const {
        const Index row = at_.state_columns * count_, side = at_.side * count_;
        const auto put = [&](Index first, Index pixels) {
            for (Index p = first; p < first + pixels; ++p) {
                float* to = states + p * at_.width;
                std::copy_n(initial, at_.job.hidden, to);
                std::fill(to + at_.job.hidden, to + at_.width, 0.0f);
            }
        };
        put(0, row);
        for (Index r = 1; r <= at_.job.rows; ++r) {
            put(r * row, side);
            put((r + 1) * row - side, side);
        }
    }

    const Layout& at_;
    Index count_, stream_block_ = 0, state_direction_, activations_direction_;
    Index activations_row_ = 0, blocks_ = 0;
    float *streams_, *hidden_, *cells_, *activations_;
    std::vector<float> own_;
};

// The four gates of n features, in planes.
template <class Float> struct Planes {
    Float *o, *f, *i, *g;
    Planes(Float* first, Index apart)
        : o(first), f(first + apart), i(first + 2 * apart), g(first + 3 * apart) {}
};

// Copies a row of a part from a map (H, W, batch, 2h), features filled up with zeros; and back.
inline void take_row(const Layout& at, const Part& part, const float* map, Index r, float* to) {
    const Index features = 2 * at.job.hidden;
    for (Index c = 0; c < at.job.columns; ++c)
        for (Index i = 0; i < part.count; ++i, to += at.stream) {
            const Index pixel = (r * at.job.columns + c) * at.job.batch + part.first + i;
            std::copy_n(map + pixel * features, features, to);
            std::fill(to + features, to + at.stream, 0.0f);
        }
}

inline void put_row(const Layout& at, const Part& part, const float* from, Index r, float* map) {
    const Index features = 2 * at.job.hidden;
    for (Index c = 0; c < at.job.columns; ++c)
        for (Index i = 0; i < part.count; ++i, from += at.stream) {
            const Index pixel = (r * at.job.columns + c) * at.job.batch + part.first + i;
            std::copy_n(from, features, map + pixel * features);
        }
}

// A weight laid out for `product`, from value(tap, input, output); and where its taps read.
struct Packed {
    std::vector<float> data;
    Index inputs = 0, outputs = 0;

    template <class Value>
    Packed(Index taps, Index in, Index out, const Value& value) : inputs(in), outputs(out) {
        data.resize(taps * in * out);
        pack(data.data(), taps, in, out, value);
    }
    Packed() = default;
    Weight weight() const { return {data.data(), inputs, outputs}; }
};

// Weights of one block as functions of padded indices; zero where there is no feature.
class Weights {
  public:
    Weights(const Layout& at, Index block) : at_(at), block_(block) {}

    // `gate` counts the padded features of all four gates.
    float input(Index d, Index tap, Index i, Index gate) const {
        const Index q = gate / at_.width, f = gate % at_.width, h = at_.job.hidden;
        if (f >= h || i >= 2 * h) return 0.0f;
        const Index place = ((d * 4 + q) * h + f) * 2 * h + i;
        return at_.tensor(block_, input_weight)[place * at_.job.stored_taps + tap];
    }
    float bias(Index d, Index gate) const {
        const Index q = gate / at_.width, f = gate % at_.width, h = at_.job.hidden;
        return f < h ? at_.tensor(block_, input_bias)[(d * 4 + q) * h + f] : 0.0f;
    }
    float state(Index d, Index tap, Index i, Index gate) const {
        const Index q = gate / at_.width, f = gate % at_.width, h = at_.job.hidden;
        if (f >= h || i >= h) return 0.0f;
        const Index row = (d * at_.job.state_taps + tap) * h + i;
        return at_.tensor(block_, state_weight)[(row * 4 + q) * h + f];
    }
    // Of up or aside.
    float out(Kind kind, Index i, Index o) const {
        const Index h = at_.job.hidden;
        return i < h && o < 2 * h ? at_.tensor(block_, kind)[o * h + i] : 0.0f;
    }

  private:
    const Layout& at_;
    Index block_;
};

}  // namespace
