// A stack of PixelCNN's residual blocks, forward and backward, in float.
//
// The reference is `reference.stack`; tests/ops/conv_blocks holds this equal to it.
// Rows of the image are cut into chunks of pixels, which a thread takes through a block while they
// are in its cache. Threads wait for each other once a block, since the convolution reads
// neighbours. Every sum has one order, whatever the number of threads.

#include "layout.hpp"

namespace {

constexpr Index forward_groups = 64;   // of chunks, at most
constexpr Index backward_groups = 16;  // each has sums of its own

class Forward {
  public:
    explicit Forward(const Job& job)
        : job_(job), at_(job), weights_(at_, false), biases_(padded_biases(at_)) {}

    void run() {
        const Index groups = std::min(forward_groups, at_.chunks);
        const auto nothing = [](Index) {};
        for (Index block = 0; block < (job_.kept ? job_.blocks : 2); ++block)
            clear_margins(at_, inner(block), false);
        share(at_, groups, nothing, [&](Index, const Chunk& chunk) { enter(chunk); });
        for (Index block = 0; block < job_.blocks; ++block)
            share(at_, groups, nothing, [&](Index, const Chunk& chunk) { pass(block, chunk); });
    }

  private:
    float* inner(Index block) const {
        return job_.inner + (job_.kept ? block : block % 2) * at_.places * at_.width;
    }
    float* out_of(Index block, const Chunk& chunk) const {
        return job_.streams + ((job_.kept ? block : 0) * at_.pixels + chunk.pixel) * at_.stream;
    }
    const float* into(Index block, const Chunk& chunk) const {
        return block ? out_of(block - 1, chunk) : job_.input + chunk.pixel * at_.stream;
    }
    const float* bias(Index block, Kind kind) const {
        return biases_.data() + (block * kinds + kind) * at_.stream;
    }

    void enter(const Chunk& chunk) const {
        std::vector<float> positive(chunk.count * at_.stream);
        const float* x = into(0, chunk);
        for (Index i = 0; i < chunk.count * at_.stream; i += lanes)
            store(&positive[i], relu(load(x + i)));
        descend(0, chunk, positive.data());
    }
    // The first 1 x 1 of a block, of its input after the ReLU.
    void descend(Index block, const Chunk& chunk, const float* positive) const {
        float* to = inner(block) + chunk.place * at_.width;
        const float* of = bias(block, down);
        product(positive, weights_(block, down), at_.centre(), chunk.count,
                [&](Index p, Index j, Vector sum) {
                    store(to + p * at_.width + j, relu(sum + load(of + j)));
                });
    }
    // All of a block but its first 1 x 1, and the first 1 x 1 of the next block.
    void pass(Index block, const Chunk& chunk) const {
        std::vector<float> scratch(chunk.count * (at_.stream + at_.width));
        float* positive = scratch.data();
        float* convolved = positive + chunk.count * at_.stream;
        if (job_.kept)
            convolved = job_.convolved + (block * at_.pixels + chunk.pixel) * at_.width;
        convolve(block, chunk, convolved);
        ascend(block, chunk, convolved, positive);
        if (job_.total != nullptr) add_aside(block, chunk, convolved);
        if (block + 1 < job_.blocks) descend(block + 1, chunk, positive);
    }
    void convolve(Index block, const Chunk& chunk, float* convolved) const {
        const float* of = bias(block, conv);
        product(inner(block) + chunk.place * at_.width, weights_(block, conv), at_.reading(),
                chunk.count, [&](Index p, Index j, Vector sum) {
                    store(convolved + p * at_.width + j, relu(sum + load(of + j)));
                });
    }
    void ascend(Index block, const Chunk& chunk, const float* convolved, float* positive) const {
        const float *of = bias(block, up), *x = into(block, chunk);
        float* y = out_of(block, chunk);
        product(convolved, weights_(block, up), at_.centre(), chunk.count,
                [&](Index p, Index j, Vector sum) {
                    const Index i = p * at_.stream + j;
                    sum += load(of + j);
                    if (job_.residual) sum += load(x + i);
                    store(y + i, sum);
                    store(positive + i, relu(sum));
                });
    }
    void add_aside(Index block, const Chunk& chunk, const float* convolved) const {
        float* total = job_.total + chunk.pixel * at_.stream;
        const float* before = block ? total : job_.start + chunk.pixel * at_.stream;
        product(convolved, weights_(block, aside), at_.centre(), chunk.count,
                [&](Index p, Index j, Vector sum) {
                    const Index i = p * at_.stream + j;
                    store(total + i, load(before + i) + sum);
                });
    }

    const Job& job_;
    Layout at_;
    Packed weights_;
    std::vector<float> biases_;
};

class Backward {
  public:
    explicit Backward(const Job& job)
        : job_(job), at_(job), groups_(std::min(backward_groups, at_.chunks)),
          weights_(at_, true), flowing_(2 * at_.places * at_.width) {
        for (int kind = 0; kind < kinds; ++kind) {
            starts_[kind] = size_;
            size_ += at_.size(Kind(kind)) + at_.stream;  // and of the bias
        }
        sums_.resize(3 * groups_ * size_);
    }

    // At a time one block is entered, the one after it is left, and the one after that is added up.
    void run() {
        for (Index block = 0; block < 2; ++block) clear_margins(at_, flowing(block), true);
        for (Index block = job_.blocks; block >= -1; --block)
            share(
                at_, groups_,
                [&](Index group) {
                    if (block > 0) std::fill_n(sums(block - 1, group, down), size_, 0.0f);
                    if (block + 1 < job_.blocks) add_groups(block + 1, group);
                },
                [&](Index group, const Chunk& chunk) {
                    if (block >= 0 && block < job_.blocks) leave(block, group, chunk);
                    if (block > 0) enter(block - 1, group, chunk);
                });
    }

  private:
    float* sums(Index block, Index group, Kind kind) {
        return sums_.data() + (block % 3 * groups_ + group) * size_ + starts_[kind];
    }
    float* bias_sums(Index block, Index group, Kind kind) {
        return sums(block, group, kind) + at_.size(kind);
    }
    // The gradient of `inner`'s convolution, before that flows back through the taps.
    float* flowing(Index block) { return flowing_.data() + block % 2 * at_.places * at_.width; }

    // The gradients of the last 1 x 1, and of what goes aside.
    void enter(Index block, Index group, const Chunk& chunk) {
        const Index width = at_.width, stream = at_.stream;
        const float* convolved = job_.convolved + (block * at_.pixels + chunk.pixel) * width;
        const float* g = job_.gradient + chunk.pixel * stream;
        float* to = flowing(block) + chunk.gradient_place * width;
        const bool aside_too = job_.total_gradient != nullptr;
        if (aside_too) {
            const float* of_total = job_.total_gradient + chunk.pixel * stream;
            product(of_total, weights_(block, aside), at_.centre(), chunk.count,
                    [&](Index p, Index j, Vector sum) { store(to + p * width + j, sum); });
            outer(convolved, width, of_total, stream, chunk.count, sums(block, group, aside));
        }
        product(g, weights_(block, up), at_.centre(), chunk.count,
                [&](Index p, Index j, Vector sum) {
                    const Index i = p * width + j;
                    if (aside_too) sum += load(to + i);
                    store(to + i, passed(sum, load(convolved + i)));
                });
        outer(convolved, width, g, stream, chunk.count, sums(block, group, up));
        add_up(g, stream, chunk.count, bias_sums(block, group, up));
    }
    // The gradients of the convolution and of the first 1 x 1.
    void leave(Index block, Index group, const Chunk& chunk) {
        const Index width = at_.width, stream = at_.stream;
        std::vector<float> scratch(chunk.count * (width + stream));
        float *of_inner = scratch.data(), *positive = of_inner + chunk.count * width;
        const float* from = flowing(block) + chunk.gradient_place * width;
        const float* inner = job_.inner + (block * at_.places + chunk.place) * width;
        product(from, weights_(block, conv), at_.read_by(), chunk.count,
                [&](Index p, Index j, Vector sum) {
                    const Index i = p * width + j;
                    store(of_inner + i, passed(sum, load(inner + i)));
                });
        for (Index tap = 0; tap < at_.taps; ++tap)
            outer(from, width, inner + at_.back[tap], width, chunk.count,
                  sums(block, group, conv) + tap * width * width);
        add_up(from, width, chunk.count, bias_sums(block, group, conv));

        const float* inputs = block ? job_.streams + (block - 1) * at_.pixels * stream : job_.input;
        const float* x = inputs + chunk.pixel * stream;
        float* g = job_.gradient + chunk.pixel * stream;
        product(of_inner, weights_(block, down), at_.centre(), chunk.count,
                [&](Index p, Index j, Vector sum) {
                    const Index i = p * stream + j;
                    const Vector input = load(x + i);
                    store(positive + i, relu(input));
                    sum = passed(sum, input);
                    store(g + i, job_.residual ? load(g + i) + sum : sum);
                });
        outer(of_inner, width, positive, stream, chunk.count, sums(block, group, down));
        add_up(of_inner, width, chunk.count, bias_sums(block, group, down));
    }
    // One part of a block's gradients: the sums of all groups, for every groups_-th output.
    void add_groups(Index block, Index part) {
        for (int k = 0; k < kinds; ++k) {
            const Kind kind = Kind(k);
            float* to = job_.weight_gradients[block * kinds + kind];
            float* to_bias = job_.bias_gradients[block * kinds + kind];
            if (to == nullptr) continue;
            const Index in = at_.inputs(kind), stored = at_.stored_taps(kind);
            for (Index o = part; o < at_.outputs(kind); o += groups_) {
                if (to_bias != nullptr) to_bias[o] = over_groups(block, kind, at_.size(kind) + o);
                for (Index i = 0; i < in; ++i)
                    for (Index tap = 0; tap < stored; ++tap)
                        to[(o * in + i) * stored + tap] =
                            tap < at_.taps_of(kind)
                                ? over_groups(block, kind, place(kind, tap, o, i))
                                : 0.0f;
            }
        }
    }
    // Where `outer` adds up a weight: the wider side runs fastest.
    Index place(Kind kind, Index tap, Index o, Index i) const {
        const Index in = padded(at_.inputs(kind)), out = padded(at_.outputs(kind));
        return kind == up || kind == aside ? i * out + o : (tap * out + o) * in + i;
    }
    float over_groups(Index block, Kind kind, Index index) {
        float result = 0.0f;
        for (Index group = 0; group < groups_; ++group) result += sums(block, group, kind)[index];
        return result;
    }

    const Job& job_;
    Layout at_;
    Index groups_, size_ = 0, starts_[kinds];
    Packed weights_;
    std::vector<float> flowing_, sums_;
};

}  // namespace

extern "C" void forward(const Job* job) { Forward(*job).run(); }

extern "C" void backward(const Job* job) { Backward(*job).run(); }
