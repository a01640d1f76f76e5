// A stack of recurrent residual blocks, forward and backward, in float.
//
// The reference is `reference.stack`; tests/ops/lstm_blocks holds this equal to it.
// The images of a batch do not meet in the network, so a thread takes a few of them through all
// blocks, row by row, and waits for nobody. Every sum has one order, whatever the number of threads.

#include "backward.hpp"
#include "forward.hpp"

namespace {

template <class Weights> std::vector<Weights> weights_of(const Layout& at) {
    std::vector<Weights> result;
    for (Index block = 0; block < at.job.blocks; ++block) result.emplace_back(at, block);
    return result;
}

// Calls work(part) for the parts of a group, in order.
template <class Work> void parts_of(const Layout& at, Index group, const Work& work) {
    const Index end = at.parts * (group + 1) / at.groups;
    for (Index n = at.parts * group / at.groups; n < end; ++n) work(at.part(n));
}

void forward_pass(const Job& job) {
    const Layout at{job};
    const auto weights = weights_of<ForwardWeights>(at);
    at.share([&](Index group) {
        parts_of(at, group, [&](const Part& part) { ForwardPart(at, weights, part).run(); });
    });
}

void backward_pass(const Job& job) {
    const Layout at{job};
    const Sums places(at);
    const auto weights = weights_of<BackwardWeights>(at);
    const Index size = job.blocks * places.size;
    std::vector<float> sums(at.groups * size);
    at.share([&](Index group) {
        parts_of(at, group, [&](const Part& part) {
            BackwardPart(at, weights, places, part, sums.data() + group * size).run();
        });
    });
    for (Index group = 1; group < at.groups; ++group)
        for (Index i = 0; i < size; ++i) sums[i] += sums[group * size + i];
    for (Index block = 0; block < job.blocks; ++block)
        Gradients(at, places, sums.data() + block * places.size, block).write();
}

}  // namespace

extern "C" void forward(const Job* job) { forward_pass(*job); }

extern "C" void backward(const Job* job) { backward_pass(*job); }
