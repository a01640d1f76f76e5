// What both passes of native_blocks.cpp use: the fields of a call, where pixels lie, how they are
// shared among threads, and weights laid out for products.

#pragma once

#include <vector>

#include "../products.hpp"

namespace {

using namespace products;

constexpr Index chunk_pixels = 96;
constexpr Index parallel_from = 1000000;  // multiplications of a block: two threads cost more below

enum Kind { down, conv, up, aside, kinds };

// One call. `width` and `stream` stand for h and 2h, padded. Tensors of all blocks lie one after
// the other; those marked * hold fewer blocks, which are written over, if nothing is kept.
struct Job {
    Index rows, columns, batch, hidden, blocks, kernel_rows, kernel_columns;
    Index stored_rows;  // of a convolution's weight, at least those up to the centre's
    Index residual, kept, threads;
    const float* const* weights;  // (block, kind): (out, in, tap), later taps included
    const float* const* biases;   // (block, kind), of the first three kinds
    const float* input;           // (pixel, stream)
    float* streams;               // * (block, pixel, stream): output of each block; 1
    float* inner;                 // * (block, place, width): after the first 1 x 1 and a ReLU; 2
    float* convolved;             // * (block, pixel, width): after the convolution and a ReLU; 0
    const float* start;           // (pixel, stream): what the total begins with
    float* total;                 // (pixel, stream): start + sum of aside convolved; null: none
    float* const* weight_gradients;
    float* const* bias_gradients;
    float* gradient;              // (pixel, stream): of the output, then of the input
    const float* total_gradient;  // (pixel, stream); null: none
};

// Pixels of one row: their number, the first one, and its places in `inner` and its gradient.
struct Chunk {
    Index count, pixel, place, gradient_place;
};

// Where pixels lie. `inner` has margins of zeros above and beside the image, its gradient below
// and beside it, so that all taps read at all pixels.
struct Layout {
    const Job& job;
    Index width = padded(job.hidden), stream = padded(2 * job.hidden);
    Index row = job.columns * job.batch, pixels = job.rows * row;
    Index above = job.kernel_rows / 2, side = job.kernel_columns / 2 * job.batch;
    Index taps = above * job.kernel_columns + job.kernel_columns / 2 + 1;
    Index inner_row = row + 2 * side, places = (job.rows + above) * inner_row;
    Index row_chunks = (row + chunk_pixels - 1) / chunk_pixels, chunks = job.rows * row_chunks;
    std::vector<Index> back{}, ahead{};  // where taps read, and by whom a place is read
    Index here = 0;

    explicit Layout(const Job& given) : job(given) {
        for (Index tap = 0; tap < taps; ++tap) {
            const Index rows_up = above - tap / job.kernel_columns;
            const Index columns_left = job.kernel_columns / 2 - tap % job.kernel_columns;
            ahead.push_back((rows_up * inner_row + columns_left * job.batch) * width);
            back.push_back(-ahead.back());
        }
    }

    Taps centre() const { return {&here, 1}; }
    Taps reading() const { return {back.data(), taps}; }
    Taps read_by() const { return {ahead.data(), taps}; }

    Index inputs(Kind kind) const { return kind == down ? 2 * job.hidden : job.hidden; }
    Index outputs(Kind kind) const {
        return kind == down || kind == conv ? job.hidden : 2 * job.hidden;
    }
    Index taps_of(Kind kind) const { return kind == conv ? taps : 1; }
    Index stored_taps(Kind kind) const {
        return kind == conv ? job.stored_rows * job.kernel_columns : 1;
    }
    Index size(Kind kind) const {
        return taps_of(kind) * padded(inputs(kind)) * padded(outputs(kind));
    }

    Chunk chunk(Index number) const {
        const Index r = number / row_chunks, first = number % row_chunks * chunk_pixels;
        const Index place = r * inner_row + side + first;
        const Index count = std::min(chunk_pixels, row - first);
        return {count, r * row + first, place + above * inner_row, place};
    }
    bool parallel() const {
        return job.threads > 1 && pixels * (size(down) + size(conv) + size(up)) > parallel_from;
    }
};

// Calls begin(group) for all groups, each followed by work(group, chunk) for its chunks, in order.
// A group meets the same thread every time.
template <class Begin, class Work>
inline void share(const Layout& at, Index groups, const Begin& begin, const Work& work) {
#pragma omp parallel for schedule(static) num_threads(at.job.threads) if (at.parallel())
    for (Index group = 0; group < groups; ++group) {
        begin(group);
        const Index end = at.chunks * (group + 1) / groups;
        for (Index n = at.chunks * group / groups; n < end; ++n) work(group, at.chunk(n));
    }
}

// The weights of all blocks, laid out for the products of one direction.
class Packed {
  public:
    Packed(const Layout& at, bool backward) : at_(at), backward_(backward) {
        for (int kind = 0; kind < kinds; ++kind) {
            starts_[kind] = size_;
            size_ += at.size(Kind(kind));
        }
        floats_.resize(at.job.blocks * size_);
        for (Index block = 0; block < at.job.blocks; ++block)
            for (int kind = 0; kind < kinds; ++kind) fill(block, Kind(kind));
    }

    Weight operator()(Index block, Kind kind) const {
        const Index in = padded(at_.inputs(kind)), out = padded(at_.outputs(kind));
        const float* data = floats_.data() + block * size_ + starts_[kind];
        return backward_ ? Weight{data, out, in} : Weight{data, in, out};
    }

  private:
    void fill(Index block, Kind kind) {
        const float* weight = at_.job.weights[block * kinds + kind];
        if (weight == nullptr) return;
        const Index in = at_.inputs(kind), out = at_.outputs(kind);
        const Index taps = at_.taps_of(kind), stored = at_.stored_taps(kind);
        const auto value = [=](Index tap, Index i, Index o) {
            return weight[(o * in + i) * stored + tap];
        };
        float* to = floats_.data() + block * size_ + starts_[kind];
        if (backward_)
            pack(to, taps, out, in, [&](Index tap, Index o, Index i) { return value(tap, i, o); });
        else
            pack(to, taps, in, out, value);
    }

    const Layout& at_;
    bool backward_;
    Index size_ = 0, starts_[kinds];
    std::vector<float> floats_;
};

// Biases of all blocks, (block, kind, stream), filled up with zeros.
std::vector<float> padded_biases(const Layout& at) {
    std::vector<float> result(at.job.blocks * kinds * at.stream);
    for (Index i = 0; i < at.job.blocks * kinds; ++i)
        if (at.job.biases[i] != nullptr)
            std::copy_n(at.job.biases[i], at.outputs(Kind(i % kinds)), &result[i * at.stream]);
    return result;
}

// Writes zeros into the margins of one block's `inner`, or of its gradient.
void clear_margins(const Layout& at, float* inner, bool gradient) {
    const Index row = at.inner_row * at.width, side = at.side * at.width;
    std::fill_n(inner + (gradient ? at.job.rows * row : 0), at.above * row, 0.0f);
    for (Index r = 0; r < at.job.rows; ++r) {
        float* start = inner + (r + (gradient ? 0 : at.above)) * row;
        std::fill_n(start, side, 0.0f);
        std::fill_n(start + row - side, side, 0.0f);
    }
}

}  // namespace
