// Attention of one position over a cache of the positions before it, in float.
//
// The reference is `attention.plain`; tests/ops/test_attention.py holds this equal to it. Each head
// of each image is computed alone, and its sums have one order, whatever the batch and the threads.

#include "conv_lstm/arithmetic.hpp"

#include <algorithm>
#include <new>

namespace {

using Index = std::int64_t;

constexpr Index lanes = 16;             // positions side by side; sums have as many parts
constexpr Index parallel_from = 500000;  // multiplications: two threads cost more below

struct Job {
    const float* keys;    // (image, head, key feature, position)
    const float* values;  // (image, head, position, value feature)
    float* out;           // (image, head, value feature)
    Index keys_stride, values_stride, out_stride;  // from image to image
    Index images, heads, capacity, key_width, value_width;
    float scale;
};

// Memory of one thread; aligned, so that every thread's loops take the same steps.
class Floats {
  public:
    explicit Floats(Index count)
        : floats_(static_cast<float*>(operator new[](count * sizeof(float), alignment))) {}
    ~Floats() { operator delete[](floats_, alignment); }
    Floats(const Floats&) = delete;
    Floats& operator=(const Floats&) = delete;
    float* data() { return floats_; }

  private:
    static constexpr std::align_val_t alignment{64};
    float* floats_;
};

// Scores of positions, then their exponentials; those from `count` on become 0. Returns the sum.
inline float weights(const Job& job, const float* keys, const float* query, Index count,
                     float* __restrict scores) {
    const Index padded = (count + lanes - 1) / lanes * lanes;
    std::fill_n(scores, padded, 0.0f);
    for (Index k = 0; k < job.key_width; ++k, keys += job.capacity) {
        const float factor = query[k] * job.scale;
        for (Index first = 0; first < padded; first += lanes)
            for (Index j = first; j < first + lanes; ++j) scores[j] += factor * keys[j];
    }
    const float largest = *std::max_element(scores, scores + count);
    float parts[lanes] = {};
    for (Index first = 0; first < padded; first += lanes) {
        for (Index l = 0; l < lanes; ++l) {
            const float weight = exponential(scores[first + l] - largest);
            scores[first + l] = first + l < count ? weight : 0.0f;
        }
        for (Index l = 0; l < lanes; ++l) parts[l] += scores[first + l];
    }
    float sum = 0.0f;
    for (Index l = 0; l < lanes; ++l) sum += parts[l];
    return sum;
}

// Four positions at a time: `sums` is read and written once for them.
inline void weighted_sum(const float* values, Index width, const float* weight, Index count,
                         float* __restrict sums) {
    std::fill_n(sums, width, 0.0f);
    Index j = 0;
    for (; j + 4 <= count; j += 4, values += 4 * width)
        for (Index v = 0; v < width; ++v)
            sums[v] += (weight[j] * values[v] + weight[j + 1] * values[width + v]) +
                       (weight[j + 2] * values[2 * width + v] + weight[j + 3] * values[3 * width + v]);
    for (; j < count; ++j, values += width)
        for (Index v = 0; v < width; ++v) sums[v] += weight[j] * values[v];
}

}  // namespace

extern "C" void attend(const Job* at, const float* query, Index count) {
    const Job job = *at;
    const Index all = job.images * job.heads, keys = job.key_width, values = job.value_width;
#pragma omp parallel if (all * count * (keys + values) > parallel_from)
    {
        Floats scores(job.capacity), sums(values);
#pragma omp for schedule(static)
        for (Index i = 0; i < all; ++i) {
            const Index image = i / job.heads, head = i % job.heads;
            const float* key = job.keys + image * job.keys_stride + head * keys * job.capacity;
            const float* value = job.values + image * job.values_stride + head * job.capacity * values;
            float* out = job.out + image * job.out_stride + head * values;
            if (count == 0) {
                std::fill_n(out, values, 0.0f);
                continue;
            }
            const float sum = weights(job, key, query + i * keys, count, scores.data());
            weighted_sum(value, values, scores.data(), count, sums.data());
            for (Index v = 0; v < values; ++v) out[v] = sums.data()[v] / sum;
        }
    }
}
