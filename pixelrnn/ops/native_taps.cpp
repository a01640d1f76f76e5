// A convolution of pixels of few features as one product per tap, forward and backward, in float.
//
// The reference is `tap_conv.reference`; tests/ops/test_tap_conv.py holds this equal to it. Rows of
// the image are cut into chunks of pixels. What a chunk's taps read is copied into a few rows of
// scratch memory first, zeros outside the image included, so that all taps read at all pixels.
// Every sum has one order, whatever the number of threads.

#include <cstdlib>
#include <vector>

#include "products.hpp"

namespace {

using namespace products;

constexpr Index least_chunk = 96, largest_chunk = 384;  // pixels
constexpr Index backward_groups = 16;     // of chunks, at most: each has sums of its own
constexpr Index parallel_from = 1000000;  // multiplications: two threads cost more below

struct Job {
    Index rows, columns, batch, inputs, outputs, taps, threads;
    const Index* ups;     // where taps read: rows up, at least 0
    const Index* lefts;   // and columns to the left; negative: to the right
    const float* x;       // (row, column, batch, inputs)
    const float* weight;  // (tap, out, in)
    const float* bias;
    float* y;
    const float* grad_y;
    float* grad_x;  // null: not wanted
    float* grad_weight;
    float* grad_bias;
};

struct Chunk {
    Index row, first, count;  // pixels of that row
};

// Pixels of a chunk: not many fewer than it reads beside itself.
Index chunk_pixels(const Job& job) {
    Index beside = 0;
    for (Index tap = 0; tap < job.taps; ++tap)
        beside = std::max(beside, std::abs(job.lefts[tap]) * job.batch);
    const Index rounded = (beside + least_chunk - 1) / least_chunk * least_chunk;
    return std::min(std::max(least_chunk, rounded), largest_chunk);
}

// A map's pixels around a chunk: of some rows, and of columns beside it.
class Window {
  public:
    Window(const Job& job, bool ahead) : job_(job), ahead_(ahead) {
        for (Index tap = 0; tap < job.taps; ++tap) {
            const Index back = ahead ? -job.lefts[tap] : job.lefts[tap];
            before_ = std::max(before_, back * job.batch);
            after_ = std::max(after_, -back * job.batch);
            highest_ = std::max(highest_, job.ups[tap]);
        }
        length_ = before_ + chunk_pixels(job) + after_;
    }
    // Where each tap reads, from the chunk's own pixels.
    std::vector<Index> offsets(Index width) const {
        std::vector<Index> result;
        for (Index tap = 0; tap < job_.taps; ++tap) {
            const Index back = (ahead_ ? -1 : 1) * job_.lefts[tap] * job_.batch;
            result.push_back((job_.ups[tap] * length_ - back) * width);
        }
        return result;
    }
    Index size(Index width) const { return (highest_ + 1) * length_ * width; }
    Index centre(Index width) const { return before_ * width; }

    // Copies what is read; row u of the window is u rows above the chunk, or ahead of it.
    void fill(const float* map, Index features, const Chunk& chunk, float* to) const {
        const Index width = padded(features), row = job_.columns * job_.batch;
        for (Index u = 0; u <= highest_; ++u, to += length_ * width) {
            const Index r = chunk.row + (ahead_ ? u : -u);
            const Index start = chunk.first - before_, end = chunk.first + chunk.count + after_;
            const Index begin = r < 0 || r >= job_.rows ? end : std::max<Index>(start, 0);
            const Index stop = std::max(begin, std::min(end, row));
            std::fill_n(to, (begin - start) * width, 0.0f);
            const float* from = map + (r * row + begin) * features;
            float* at = to + (begin - start) * width;
            if (width == features)
                std::copy_n(from, begin < stop ? (stop - begin) * width : 0, at);
            else
                for (Index p = begin; p < stop; ++p, from += features, at += width) {
                    std::copy_n(from, features, at);
                    std::fill_n(at + features, width - features, 0.0f);
                }
            std::fill_n(to + (stop - start) * width, (end - stop) * width, 0.0f);
        }
    }

  private:
    const Job& job_;
    bool ahead_;
    Index before_ = 0, after_ = 0, highest_ = 0, length_;
};

// Stores a vector of which `features` follow, or fewer lanes.
inline void put(float* to, Vector value, Index features) {
    if (features >= lanes)
        store(to, value);
    else
        std::memcpy(to, &value, features * sizeof(float));
}

struct Chunks {
    const Job& job;
    Index length = chunk_pixels(job), row = job.columns * job.batch;
    Index in_row = (row + length - 1) / length;
    Index count = job.rows * in_row;

    Chunk at(Index number) const {
        const Index first = number % in_row * length;
        return {number / in_row, first, std::min(length, row - first)};
    }
    bool parallel() const {
        return job.threads > 1 &&
               job.rows * row * job.taps * job.inputs * job.outputs > parallel_from;
    }
};

void forward_pass(const Job& job) {
    const Chunks chunks{job};
    const Window window(job, false);
    const Index in = padded(job.inputs), out = padded(job.outputs);
    std::vector<float> packed(job.taps * in * out), bias(out);
    std::copy_n(job.bias, job.outputs, bias.data());
    pack(packed.data(), job.taps, job.inputs, job.outputs, [&](Index tap, Index i, Index o) {
        return job.weight[(tap * job.outputs + o) * job.inputs + i];
    });
    const std::vector<Index> offsets = window.offsets(in);
    const Weight weight{packed.data(), in, out};
    const Taps taps{offsets.data(), job.taps};
#pragma omp parallel num_threads(job.threads) if (chunks.parallel())
    {
        std::vector<float> scratch(window.size(in));
#pragma omp for schedule(static)
        for (Index n = 0; n < chunks.count; ++n) {
            const Chunk chunk = chunks.at(n);
            window.fill(job.x, job.inputs, chunk, scratch.data());
            float* y = job.y + (chunk.row * chunks.row + chunk.first) * job.outputs;
            product(scratch.data() + window.centre(in), weight, taps, chunk.count,
                    [&](Index p, Index j, Vector sum) {
                        if (j < job.outputs)
                            put(y + p * job.outputs + j, sum + load(&bias[j]), job.outputs - j);
                    });
        }
    }
}

class Backward {
  public:
    explicit Backward(const Job& job)
        : job_(job), chunks_{job}, groups_(std::min(backward_groups, chunks_.count)),
          in_(padded(job.inputs)), out_(padded(job.outputs)), read_(job, false), flow_(job, true),
          packed_(job.taps * in_ * out_), sums_(groups_ * (job.taps * in_ * out_ + out_)) {
        pack(packed_.data(), job.taps, job.outputs, job.inputs, [&](Index tap, Index o, Index i) {
            return job.weight[(tap * job.outputs + o) * job.inputs + i];
        });
    }

    void run() {
#pragma omp parallel num_threads(job_.threads) if (chunks_.parallel())
        {
            std::vector<float> scratch(read_.size(in_) + flow_.size(out_));
#pragma omp for schedule(static)
            for (Index group = 0; group < groups_; ++group) {
                const Index end = chunks_.count * (group + 1) / groups_;
                for (Index n = chunks_.count * group / groups_; n < end; ++n)
                    take(group, chunks_.at(n), scratch.data());
            }
#pragma omp for schedule(static)
            for (Index o = 0; o < job_.outputs; ++o) add_groups(o);
        }
    }

  private:
    float* sums(Index group) { return sums_.data() + group * (job_.taps * in_ * out_ + out_); }
    // The wider side of a sum of products runs fastest.
    Index place(Index tap, Index o, Index i) const {
        return tap * in_ * out_ + (in_ > out_ ? o * in_ + i : i * out_ + o);
    }

    void take(Index group, const Chunk& chunk, float* scratch) {
        float* x = scratch + read_.centre(in_);
        float* g = scratch + read_.size(in_) + flow_.centre(out_);
        read_.fill(job_.x, job_.inputs, chunk, scratch);
        flow_.fill(job_.grad_y, job_.outputs, chunk, scratch + read_.size(in_));
        for (Index tap = 0; tap < job_.taps; ++tap) {
            const float* read = x + back_[tap];
            float* to = sums(group) + tap * in_ * out_;
            if (in_ > out_)
                outer(g, out_, read, in_, chunk.count, to);
            else
                outer(read, in_, g, out_, chunk.count, to);
        }
        add_up(g, out_, chunk.count, sums(group) + job_.taps * in_ * out_);
        if (job_.grad_x == nullptr) return;
        float* to = job_.grad_x + (chunk.row * chunks_.row + chunk.first) * job_.inputs;
        product(g, {packed_.data(), out_, in_}, {ahead_.data(), job_.taps}, chunk.count,
                [&](Index p, Index j, Vector sum) {
                    if (j < job_.inputs) put(to + p * job_.inputs + j, sum, job_.inputs - j);
                });
    }
    void add_groups(Index o) {
        job_.grad_bias[o] = over_groups(job_.taps * in_ * out_ + o);
        for (Index tap = 0; tap < job_.taps; ++tap)
            for (Index i = 0; i < job_.inputs; ++i)
                job_.grad_weight[(tap * job_.outputs + o) * job_.inputs + i] =
                    over_groups(place(tap, o, i));
    }
    float over_groups(Index index) {
        float result = 0.0f;
        for (Index group = 0; group < groups_; ++group) result += sums(group)[index];
        return result;
    }

    const Job& job_;
    Chunks chunks_;
    Index groups_, in_, out_;
    Window read_, flow_;
    std::vector<float> packed_, sums_;
    std::vector<Index> back_ = read_.offsets(in_), ahead_ = flow_.offsets(out_);
};

}  // namespace

extern "C" void forward(const Job* job) { forward_pass(*job); }

extern "C" void backward(const Job* job) { Backward(*job).run(); }
