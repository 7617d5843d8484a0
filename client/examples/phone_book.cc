/* A phone book in shared memory, in containers of the standard library: each run is a process of
 * its own, which finds what the others have built, and changes it.
 *
 *   phone_book add NAME NUMBER...    add numbers
 *   phone_book remove NAME
 *   phone_book list
 *   phone_book drop                  take the book apart
 *
 * The containers have std::pmr's allocator, so what is put into them is allocated in the heap, the
 * strings too. Nothing here is locked: one run at a time. */
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <memory_resource>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <goalloc/goalloc.hpp>

namespace
{

using numbers = std::pmr::vector<std::pmr::string>;
using phone_book = std::pmr::unordered_map<std::pmr::string, numbers>;

constexpr const char *ROOT = "phone book";

void add(phone_book &book, int count, char **words)
{
    numbers &of_name = book[words[0]];
    for (int i = 1; i < count; i++)
        of_name.emplace_back(words[i]);
}

int remove(phone_book &book, const char *name)
{
    if (book.erase(name) > 0)
        return 0;
    std::fprintf(stderr, "phone_book: %s is not in the book\n", name);
    return 1;
}

/* Sorted in this process's own memory. */
void list(const phone_book &book)
{
    std::map<std::string_view, const numbers *> sorted;
    for (const auto &[name, of_name] : book)
        sorted[name] = &of_name;
    for (const auto &[name, of_name] : sorted) {
        std::printf("%.*s:", static_cast<int>(name.size()), name.data());
        for (const auto &number : *of_name)
            std::printf(" %s", number.c_str());
        std::printf("\n");
    }
}

int run(int argc, char **argv)
{
    std::string_view command = argc > 1 ? argv[1] : "";
    goalloc::heap heap;
    if (command == "drop")
        return heap.unpublish<phone_book>(ROOT) ? 0 : 1; /* what is returned is destroyed */

    auto &book = *heap.find_or_make<phone_book>(ROOT);
    if (command == "add" && argc > 3)
        add(book, argc - 2, argv + 2);
    else if (command == "remove" && argc == 3)
        return remove(book, argv[2]);
    else if (command == "list" && argc == 2)
        list(book);
    else
        return std::fprintf(stderr, "usage: phone_book add NAME NUMBER...|remove NAME|list|drop\n"),
               2;
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    try {
        return run(argc, argv);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "phone_book: %s\n", error.what());
        return 1;
    }
}
