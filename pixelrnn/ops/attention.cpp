// Attention of one position over a cache of the positions before it, in float.
//
// The reference is `attention.plain`; tests/ops/test_attention.py holds this equal to it. Each head
// of each image is computed alone, and its sums have one order, whatever the batch and the threads.

#include "conv_lstm/arithmetic.hpp"

#include <algorithm>
#include <new>
#include <type_traits>

namespace {

using Index = std::int64_t;

constexpr Index lanes = 16;             // positions side by side; a sum over them has as many parts
constexpr Index value_lanes = 8;        // features of a value side by side
constexpr Index parallel_from = 500000;  // multiplications: two threads cost more below

typedef float Positions __attribute__((vector_size(lanes * sizeof(float))));
typedef float Features __attribute__((vector_size(value_lanes * sizeof(float))));

template <class Vector> inline Vector at(const float* from) {
    Vector result;
    std::memcpy(&result, from, sizeof result);
    return result;
}

struct Job {
    const float* keys;    // (image, head, key feature, position)
    const float* values;  // (image, head, position, value feature)
    float* out;           // (image, head, value feature)
    Index keys_stride, values_stride, out_stride;  // from image to image
    // Positions are a multiple of `lanes`, features of a cached value one of `value_lanes`.
    Index images, heads, capacity, key_width, value_room, value_width;
    float scale;
};

// Memory of one thread.
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

// Calls work<R>(block) for runs of R blocks, R as large as it can be.
template <class Work> inline void in_runs(Index blocks, const Work& work) {
    Index block = 0;
    for (; block + 4 <= blocks; block += 4) work(std::integral_constant<int, 4>(), block);
    for (; block + 2 <= blocks; block += 2) work(std::integral_constant<int, 2>(), block);
    for (; block < blocks; ++block) work(std::integral_constant<int, 1>(), block);
}

// Scores of R blocks of positions.
template <int R>
inline void score(const Job& job, const float* keys, const float* query, float* scores) {
    Positions sums[R] = {};
    for (Index k = 0; k < job.key_width; ++k, keys += job.capacity)
        for (int r = 0; r < R; ++r) sums[r] += at<Positions>(keys + r * lanes) * query[k];
    for (int r = 0; r < R; ++r) {
        sums[r] *= job.scale;
        std::memcpy(scores + r * lanes, &sums[r], sizeof(Positions));
    }
}

// Exponentials of the scores, less the largest; those from `count` on become 0. Returns their sum.
inline float exponentials(float* scores, Index count, Index padded) {
    std::fill(scores + count, scores + padded, -INFINITY);
    float parts[lanes];
    std::copy_n(scores, lanes, parts);
    for (Index first = lanes; first < padded; first += lanes)
        for (Index l = 0; l < lanes; ++l) parts[l] = std::max(parts[l], scores[first + l]);
    const float largest = *std::max_element(parts, parts + lanes);
    std::fill_n(parts, lanes, 0.0f);
    for (Index first = 0; first < padded; first += lanes) {
#pragma omp simd
        for (Index l = 0; l < lanes; ++l) {
            const Index j = first + l;
            scores[j] = j < count ? exponential(scores[j] - largest) : 0.0f;
            parts[l] += scores[j];
        }
    }
    float sum = 0.0f;
    for (Index l = 0; l < lanes; ++l) sum += parts[l];
    return sum;
}

// R blocks of features of the sum over positions; even and odd positions are summed apart.
template <int R>
inline void add_up(const float* values, Index room, const float* weight, Index count, float* out) {
    Features even[R] = {}, odd[R] = {};
    Index j = 0;
    for (; j + 2 <= count; j += 2, values += 2 * room)
        for (int r = 0; r < R; ++r) {
            even[r] += at<Features>(values + r * value_lanes) * weight[j];
            odd[r] += at<Features>(values + room + r * value_lanes) * weight[j + 1];
        }
    if (j < count)
        for (int r = 0; r < R; ++r) even[r] += at<Features>(values + r * value_lanes) * weight[j];
    for (int r = 0; r < R; ++r) {
        even[r] += odd[r];
        std::memcpy(out + r * value_lanes, &even[r], sizeof(Features));
    }
}

inline void one_head(const Job& job, const float* keys, const float* values, const float* query,
                     Index count, float* scores, float* sums, float* out) {
    const Index blocks = (count + lanes - 1) / lanes;
    in_runs(blocks, [&](auto run, Index block) {
        score<run()>(job, keys + block * lanes, query, scores + block * lanes);
    });
    const float total = exponentials(scores, count, blocks * lanes);
    in_runs(job.value_room / value_lanes, [&](auto run, Index block) {
        const Index first = block * value_lanes;
        add_up<run()>(values + first, job.value_room, scores, count, sums + first);
    });
    for (Index v = 0; v < job.value_width; ++v) out[v] = sums[v] / total;
}

}  // namespace

extern "C" void attend(const Job* at, const float* query, Index count) {
    const Job job = *at;
    const Index all = job.images * job.heads;
#pragma omp parallel if (all * count * (job.key_width + job.value_room) > parallel_from)
    {
        Floats scores(job.capacity), sums(job.value_room);
#pragma omp for schedule(static)
        for (Index i = 0; i < all; ++i) {
            const Index image = i / job.heads, head = i % job.heads;
            float* out = job.out + image * job.out_stride + head * job.value_width;
            if (count == 0)
                std::fill_n(out, job.value_width, 0.0f);
            else
                one_head(job, job.keys + image * job.keys_stride + head * job.key_width * job.capacity,
                         job.values + image * job.values_stride + head * job.capacity * job.value_room,
                         query + i * job.key_width, count, scores.data(), sums.data(), out);
        }
    }
}
