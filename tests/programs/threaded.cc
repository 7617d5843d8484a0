// A program of four threads that uses the standard library as programs do: strings, maps, vectors
// and shared pointers, each made by one thread and mostly destroyed by another. What it prints
// depends on no order.
//
//   threaded ROUNDS
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace
{

constexpr unsigned kThreads = 4;
constexpr unsigned kDocuments = 400;

struct Document {
    std::map<std::string, std::vector<uint32_t>> places;
    std::string text;
};

using Shared = std::shared_ptr<const Document>;

uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185;
    x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44d;
    return x ^ (x >> 33);
}

Shared make_document(uint64_t seed)
{
    auto document = std::make_shared<Document>();
    for (uint32_t i = 0; i < 60; i++) {
        std::string word = "word" + std::to_string(mix(seed * 1000 + i) % 97);
        document->places[word].push_back(static_cast<uint32_t>(document->text.size()));
        document->text += word + ' ';
    }
    return document;
}

uint64_t sum_of(const Document &document)
{
    std::unordered_map<std::string, uint64_t> weights;
    for (const auto &[word, places] : document.places)
        for (uint32_t place : places)
            weights[word] += place;
    uint64_t sum = document.text.size();
    for (const auto &[word, weight] : weights)
        sum += word.size() * weight;
    return sum;
}

std::mutex lock;
std::array<Shared, kDocuments> shelf;
std::atomic<uint64_t> sum;

// Put a new document where an old one is, and reckon with that.
void work(unsigned thread, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t seed = static_cast<uint64_t>(round) * kThreads + thread;
        Shared document = make_document(seed);
        {
            std::lock_guard<std::mutex> held(lock);
            shelf[mix(seed) % kDocuments].swap(document);
        }
        if (document)
            sum += sum_of(*document);
    }
}

} // namespace

int main(int argc, char **argv)
{
    unsigned rounds = argc == 2 ? static_cast<unsigned>(std::atoi(argv[1])) : 1000;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; i++)
        threads.emplace_back(work, i, rounds);
    for (std::thread &thread : threads)
        thread.join();
    for (const Shared &document : shelf)
        if (document)
            sum += sum_of(*document);
    std::printf("%llu\n", static_cast<unsigned long long>(sum.load()));
    return 0;
}
