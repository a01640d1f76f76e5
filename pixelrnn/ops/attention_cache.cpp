// Attention of one position over a cache of the positions before it, in float.
//
// The reference is `attention_cache.PlainCache`; tests/ops/test_attention_cache.py holds this equal
// to it. Each head of each image is computed alone, and its sums have one order, whatever the batch
// and the threads. All is read in the order in which it lies in memory.

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

// What is known, of all heads. A value has room for a multiple of `value_lanes` features.
struct Cache {
    float* keys;    // (image, head, block, key feature, position of the block)
    float* values;  // (image, head, position, value feature)
    Index images, heads, blocks, key_width, value_room, value_width;
    Index known;  // positions, the first ones
    float scale;

    float* keys_of(Index image, Index head) const {
        return keys + (image * heads + head) * blocks * key_width * lanes;
    }
    float* values_of(Index image, Index head) const {
        return values + (image * heads + head) * blocks * lanes * value_room;
    }
};

// Who asks: some heads, side by side in queries and results. Strides are in elements, of images.
struct Asked {
    Index first, heads, query_stride, out_stride;
    float* out;
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
    for (; block + 3 <= blocks; block += 3) work(std::integral_constant<int, 3>(), block);
    for (; block + 2 <= blocks; block += 2) work(std::integral_constant<int, 2>(), block);
    for (; block < blocks; ++block) work(std::integral_constant<int, 1>(), block);
}

// Scores of R blocks of positions, which lie one after the other.
template <int R>
inline void score(const Cache& cache, const float* keys, const float* query, float* scores) {
    const Index block = cache.key_width * lanes;
    Positions sums[R] = {};
    for (Index k = 0; k < cache.key_width; ++k, keys += lanes)
        for (int r = 0; r < R; ++r) sums[r] += at<Positions>(keys + r * block) * query[k];
    for (int r = 0; r < R; ++r) {
        sums[r] *= cache.scale;
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

// Asks for memory that is read soon.
inline void fetch(const float* from, Index count) {
    for (Index i = 0; i < count; i += 16) __builtin_prefetch(from + i, 0, 2);
}

// While keys are multiplied, values are fetched, and then the keys of the next head.
inline void one_head(const Cache& cache, const float* keys, const float* values, const float* next,
                     const float* query, float* scores, float* sums, float* out) {
    const Index count = cache.known, blocks = (count + lanes - 1) / lanes;
    in_runs(blocks, [&](auto run, Index block) {
        fetch(values + block * lanes * cache.value_room, run() * lanes * cache.value_room);
        score<run()>(cache, keys + block * cache.key_width * lanes, query, scores + block * lanes);
    });
    fetch(next, blocks * lanes * cache.key_width);
    const float total = exponentials(scores, count, blocks * lanes);
    in_runs(cache.value_room / value_lanes, [&](auto run, Index block) {
        const Index first = block * value_lanes;
        add_up<run()>(values + first, cache.value_room, scores, count, sums + first);
    });
    for (Index v = 0; v < cache.value_width; ++v) out[v] = sums[v] / total;
}

}  // namespace

// Queries, (image, head, key feature), are at p[0].
extern "C" void attend(const Cache* cache_at, const Asked* asked, void** p) {
    const Cache cache = *cache_at;
    const Index all = cache.images * asked->heads;
    const Index work = all * cache.known * (cache.key_width + cache.value_room);
    const auto keys_at = [&](Index i) {
        return cache.keys_of(i / asked->heads, asked->first + i % asked->heads);
    };
#pragma omp parallel if (work > parallel_from)
    {
        Floats scores(cache.blocks * lanes), sums(cache.value_room);
#pragma omp for schedule(static)
        for (Index i = 0; i < all; ++i) {
            const Index image = i / asked->heads, head = i % asked->heads;
            const float* query = static_cast<const float*>(p[0]) + image * asked->query_stride;
            float* out = asked->out + image * asked->out_stride + head * cache.value_width;
            if (cache.known == 0)
                std::fill_n(out, cache.value_width, 0.0f);
            else
                one_head(cache, keys_at(i), cache.values_of(image, asked->first + head),
                         keys_at(std::min(i + 1, all - 1)), query + head * cache.key_width,
                         scores.data(), sums.data(), out);
        }
    }
}

// The keys of all heads of each image, then their values, are at p[0]; they join what is known.
extern "C" void remember(Cache* cache, const Index* stride, void** p) {
    const Index block = cache->known / lanes, lane = cache->known % lanes;
    for (Index image = 0; image < cache->images; ++image) {
        const float* from = static_cast<const float*>(p[0]) + image * *stride;
        for (Index head = 0; head < cache->heads; ++head) {
            float* to = cache->keys_of(image, head) + block * cache->key_width * lanes + lane;
            for (Index k = 0; k < cache->key_width; ++k) to[k * lanes] = *from++;
        }
        for (Index head = 0; head < cache->heads; ++head, from += cache->value_width)
            std::copy_n(from, cache->value_width,
                        cache->values_of(image, head) + cache->known * cache->value_room);
    }
    ++cache->known;
}
