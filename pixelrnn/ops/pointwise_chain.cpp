// A chain of 1 x 1 convolutions, each after a ReLU, forward and backward, in float.
//
// The reference is `pointwise_chain.reference`; tests/ops/test_pointwise_chain.py holds this equal
// to it. A thread takes a few pixels through all layers while they are in its cache. Features are
// multiples of `slots`. Every sum has one order, whatever the number of threads.

#include <vector>

#include "products.hpp"

namespace {

using namespace products;

constexpr Index chunk_pixels = 96;
constexpr Index backward_groups = 16;     // of chunks, at most: each has sums of its own
constexpr Index parallel_from = 1000000;  // multiplications: two threads cost more below

struct Job {
    Index pixels, layers, threads;
    const Index* widths;           // of the input, then of each layer's output
    const float* const* weights;   // (out, in) of each layer
    const float* const* biases;
    const float* const* inputs;    // (pixel, in) of each layer, before the ReLU
    float* const* outputs;         // alike; those of a layer are the inputs of the next one
    const float* gradient;         // of the last output
    float* input_gradient;         // null: not wanted
    float* const* weight_gradients;
    float* const* bias_gradients;
};

struct Chain {
    const Job& job;
    Index chunks = (job.pixels + chunk_pixels - 1) / chunk_pixels;
    Index widest = *std::max_element(job.widths, job.widths + job.layers + 1);
    std::vector<Index> starts{};  // of each layer's weight, and of all
    std::vector<float> packed{};
    Index here = 0;

    Chain(const Job& given, bool backward) : job(given) {
        starts.push_back(0);
        for (Index n = 0; n < job.layers; ++n) starts.push_back(starts[n] + in(n) * out(n));
        packed.resize(starts.back());
        for (Index n = 0; n < job.layers; ++n) {
            const float* weight = job.weights[n];
            const Index from = in(n), to = out(n);
            if (backward)
                pack(&packed[starts[n]], 1, to, from,
                     [=](Index, Index o, Index i) { return weight[o * from + i]; });
            else
                pack(&packed[starts[n]], 1, from, to,
                     [=](Index, Index i, Index o) { return weight[o * from + i]; });
        }
    }
    Index in(Index layer) const { return job.widths[layer]; }
    Index out(Index layer) const { return job.widths[layer + 1]; }
    Index first(Index chunk) const { return chunk * chunk_pixels; }
    Index count(Index chunk) const { return std::min(chunk_pixels, job.pixels - first(chunk)); }
    bool parallel() const { return job.threads > 1 && job.pixels * starts.back() > parallel_from; }
};

void rectify(const float* x, Index count, float* to) {
    for (Index i = 0; i < count; i += lanes) store(to + i, relu(load(x + i)));
}

void forward_pass(const Job& job) {
    const Chain chain(job, false);
#pragma omp parallel num_threads(job.threads) if (chain.parallel())
    {
        std::vector<float> scratch(2 * chunk_pixels * chain.widest);
#pragma omp for schedule(static)
        for (Index chunk = 0; chunk < chain.chunks; ++chunk) {
            const Index first = chain.first(chunk), count = chain.count(chunk);
            float *positive = scratch.data(), *next = positive + chunk_pixels * chain.widest;
            rectify(job.inputs[0] + first * chain.in(0), count * chain.in(0), positive);
            for (Index n = 0; n < job.layers; ++n) {
                const Index in = chain.in(n), out = chain.out(n);
                const float* bias = job.biases[n];
                float* y = job.outputs[n] + first * out;
                product(positive, {&chain.packed[chain.starts[n]], in, out}, {&chain.here, 1}, count,
                        [&](Index p, Index j, Vector sum) {
                            sum += load(bias + j);
                            store(y + p * out + j, sum);
                            store(next + p * out + j, relu(sum));
                        });
                std::swap(positive, next);
            }
        }
    }
}

class Backward {
  public:
    explicit Backward(const Job& job)
        : job_(job), chain_(job, true), groups_(std::min(backward_groups, chain_.chunks)) {
        for (Index n = 0; n < job.layers; ++n) {
            places_.push_back(size_);
            size_ += (chain_.in(n) + 1) * chain_.out(n);  // the bias comes last
        }
        sums_.resize(groups_ * size_);
    }

    void run() {
#pragma omp parallel num_threads(job_.threads) if (chain_.parallel())
        {
            std::vector<float> scratch(3 * chunk_pixels * chain_.widest);
#pragma omp for schedule(static)
            for (Index group = 0; group < groups_; ++group) {
                const Index end = chain_.chunks * (group + 1) / groups_;
                for (Index n = chain_.chunks * group / groups_; n < end; ++n)
                    take(group, n, scratch.data());
            }
        }
        for (Index n = 0; n < job_.layers; ++n) write(n);
    }

  private:
    void take(Index group, Index chunk, float* scratch) {
        const Index first = chain_.first(chunk), count = chain_.count(chunk);
        float *positive = scratch, *next = positive + chunk_pixels * chain_.widest;
        float* spare = next + chunk_pixels * chain_.widest;
        const float* g = job_.gradient + first * chain_.out(job_.layers - 1);
        for (Index n = job_.layers - 1; n >= 0; --n) {
            const Index in = chain_.in(n), out = chain_.out(n);
            const float* x = job_.inputs[n] + first * in;
            float* sums = sums_.data() + group * size_ + places_[n];
            rectify(x, count * in, positive);
            outer(positive, in, g, out, count, sums);
            add_up(g, out, count, sums + in * out);
            if (n == 0 && job_.input_gradient == nullptr) return;
            float* to = n > 0 ? next : job_.input_gradient + first * in;
            product(g, {&chain_.packed[chain_.starts[n]], out, in}, {&chain_.here, 1}, count,
                    [&](Index p, Index j, Vector sum) {
                        store(to + p * in + j, passed(sum, load(x + p * in + j)));
                    });
            g = to;
            std::swap(next, spare);
        }
    }
    void write(Index n) {
        const Index in = chain_.in(n), out = chain_.out(n);
        float* total = sums_.data() + places_[n];
        for (Index group = 1; group < groups_; ++group)
            for (Index i = 0; i < (in + 1) * out; ++i) total[i] += total[group * size_ + i];
        for (Index o = 0; o < out; ++o) {
            job_.bias_gradients[n][o] = total[in * out + o];
            for (Index i = 0; i < in; ++i) job_.weight_gradients[n][o * in + i] = total[i * out + o];
        }
    }

    const Job& job_;
    const Chain chain_;
    Index groups_, size_ = 0;
    std::vector<Index> places_;
    std::vector<float> sums_;
};

}  // namespace

extern "C" void forward(const Job* job) { forward_pass(*job); }

extern "C" void backward(const Job* job) { Backward(*job).run(); }
