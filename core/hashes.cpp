#include "hashes.hpp"

#include <bit>
#include <cstring>

#if defined __x86_64__ && defined __GNUC__
#include <nmmintrin.h>
#elif defined __ARM_FEATURE_CRC32
#include <arm_acle.h>
#endif

namespace c4 {

namespace {

// Little-endian, whatever the machine's order.
template <class Number>
Number load(const char* from) {
    Number value;
    std::memcpy(&value, from, sizeof value);
    if constexpr (std::endian::native == std::endian::big) {
        Number swapped = 0;
        for (std::size_t i = 0; i < sizeof value; i++) swapped = swapped << 8 | (value >> 8 * i & 0xFF);
        return swapped;
    }
    return value;
}

std::uint64_t mixed(std::uint64_t k) {
    k ^= k >> 33;
    k *= 0xFF51AFD7ED558CCDu;
    k ^= k >> 33;
    k *= 0xC4CEB9FE1A85EC53u;
    return k ^ k >> 33;
}

} // namespace

void append_hash(std::string& to, Hash128 hash) {
    char bytes[16];
    for (std::size_t i = 0; i < 8; i++) bytes[i] = static_cast<char>(hash.high >> 8 * i);
    for (std::size_t i = 0; i < 8; i++) bytes[8 + i] = static_cast<char>(hash.low >> 8 * i);
    to.append(bytes, sizeof bytes);
}

Hash128 murmur3(Text data) {
    constexpr std::uint64_t C1 = 0x87C37B91114253D5u, C2 = 0x4CF5AD432745937Fu;
    std::uint64_t high = 0, low = 0;
    const std::size_t blocks = data.size() / 16;
    const auto scrambled_high = [](std::uint64_t k) { return std::rotl(k * C1, 31) * C2; };
    const auto scrambled_low = [](std::uint64_t k) { return std::rotl(k * C2, 33) * C1; };
    for (std::size_t block = 0; block < blocks; block++) {
        const char* from = data.data() + 16 * block;
        high = (std::rotl(high ^ scrambled_high(load<std::uint64_t>(from)), 27) + low) * 5 + 0x52DCE729;
        low = (std::rotl(low ^ scrambled_low(load<std::uint64_t>(from + 8)), 31) + high) * 5 + 0x38495AB5;
    }
    char tail[16] = {};
    const Text rest = data.substr(16 * blocks);
    if (!rest.empty()) std::memcpy(tail, rest.data(), rest.size());
    low ^= scrambled_low(load<std::uint64_t>(tail + 8));
    high ^= scrambled_high(load<std::uint64_t>(tail));
    high ^= data.size();
    low ^= data.size();
    high += low;
    low += high;
    high = mixed(high);
    low = mixed(low);
    high += low;
    low += high;
    return {high, low};
}

std::array<std::uint8_t, 16> md5(Text data) {
    // RFC 1321: the sines as whole numbers, and how far each step rotates.
    static constexpr std::uint32_t SINES[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
        0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
        0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
    };
    static constexpr int TURNS[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    std::uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    const auto take = [&](const char* block) {
        std::uint32_t words[16];
        for (std::size_t i = 0; i < 16; i++) words[i] = load<std::uint32_t>(block + 4 * i);
        std::uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        // A loop for each round, which the compiler unrolls.
        const auto step = [&](std::uint32_t mixed, std::size_t i, std::size_t word) {
            const std::uint32_t turned = std::rotl(a + mixed + SINES[i] + words[word % 16], TURNS[i / 16][i % 4]);
            a = d;
            d = c;
            c = b;
            b += turned;
        };
        for (std::size_t i = 0; i < 16; i++) step(d ^ (b & (c ^ d)), i, i);
        for (std::size_t i = 16; i < 32; i++) step((d & b) + (~d & c), i, 5 * i + 1);
        for (std::size_t i = 32; i < 48; i++) step(b ^ c ^ d, i, 3 * i + 5);
        for (std::size_t i = 48; i < 64; i++) step(c ^ (b | ~d), i, 7 * i);
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
    };
    std::size_t at = 0;
    for (; data.size() - at >= 64; at += 64) take(data.data() + at);
    char last[128] = {};
    const std::size_t rest = data.size() - at, size = rest < 56 ? 64 : 128;
    if (rest) std::memcpy(last, data.data() + at, rest);
    last[rest] = static_cast<char>(0x80);
    const std::uint64_t bits = 8 * static_cast<std::uint64_t>(data.size());
    for (std::size_t i = 0; i < 8; i++) last[size - 8 + i] = static_cast<char>(bits >> 8 * i);
    for (std::size_t block = 0; block < size; block += 64) take(last + block);
    std::array<std::uint8_t, 16> digest;
    for (std::size_t i = 0; i < 16; i++) digest[i] = static_cast<std::uint8_t>(state[i / 4] >> 8 * (i % 4));
    return digest;
}

namespace {

std::uint64_t big_endian(const std::uint8_t* bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

} // namespace

std::uint64_t rank(Text url) { return big_endian(md5(url).data()); }

bool in_validation(Text normalized_url) {
    const auto digest = md5(normalized_url);
    constexpr std::uint64_t HIGH = 616; // 2 ** 64 % 1000
    return (big_endian(digest.data()) % 1000 * HIGH + big_endian(digest.data() + 8) % 1000) % 1000 == 0;
}

namespace {

std::uint32_t crc32c_by_table(Text data) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> made{};
        for (std::uint32_t byte = 0; byte < 256; byte++) {
            std::uint32_t crc = byte;
            for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
            made[byte] = crc;
        }
        return made;
    }();
    std::uint32_t crc = ~0u;
    for (const char byte : data) crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
    return ~crc;
}

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_processor(Text data) {
    std::uint64_t crc = ~0u;
    std::size_t at = 0;
    for (; data.size() - at >= 8; at += 8) crc = _mm_crc32_u64(crc, load<std::uint64_t>(data.data() + at));
    auto low = static_cast<std::uint32_t>(crc);
    for (; at < data.size(); at++) low = _mm_crc32_u8(low, static_cast<unsigned char>(data[at]));
    return ~low;
}
#endif

} // namespace

std::uint32_t crc32c(Text data) {
#if defined __x86_64__ && defined __GNUC__
    static const bool by_processor = __builtin_cpu_supports("sse4.2");
    if (by_processor) return crc32c_by_processor(data);
#elif defined __ARM_FEATURE_CRC32
    std::uint32_t crc = ~0u;
    std::size_t at = 0;
    for (; data.size() - at >= 8; at += 8) crc = __crc32cd(crc, load<std::uint64_t>(data.data() + at));
    for (; at < data.size(); at++) crc = __crc32cb(crc, static_cast<unsigned char>(data[at]));
    return ~crc;
#endif
    return crc32c_by_table(data);
}

} // namespace c4
