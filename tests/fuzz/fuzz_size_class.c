/* Size classes beside what the table says when it is searched, and slots beside a division. */
#include "fuzz/fuzz.h"
#include "shm/size_class.h"

/* The smallest class that holds size bytes at this alignment; 0 where there is none. */
static uint32_t search(size_t size, size_t alignment)
{
    for (uint32_t id = 1; id < GA_SIZE_CLASS_COUNT; id++)
        if (ga_size_classes[id].size >= size && ga_size_classes[id].align >= alignment)
            return id;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    size_t bytes = (size_t)fuzz_take(&input, 3) % (2 * GA_SMALL_MAX);
    size_t alignment = (size_t)1 << fuzz_take(&input, 1) % 20;
    size_t wanted = bytes ? bytes : 1;
    FUZZ_CHECK(ga_size_class_aligned(bytes, alignment) == search(wanted, alignment));
    if (bytes <= GA_SMALL_MAX) {
        FUZZ_CHECK(ga_size_class_of(bytes) == (bytes ? search(bytes, 1) : 0));
        FUZZ_CHECK(ga_size_class_for_malloc(bytes) == search(wanted, wanted >= 16 ? 16 : 1));
    }

    const struct ga_size_class *c =
        &ga_size_classes[1 + fuzz_take(&input, 1) % (GA_SIZE_CLASS_COUNT - 1)];
    uint32_t offset = (uint32_t)(fuzz_take(&input, 4) % (c->npages * GA_PAGE_SIZE + 1));
    uint32_t index = ga_slot_index(c, offset);
    uint32_t divided = offset / c->size;
    FUZZ_CHECK(divided < c->nslots ? index == divided : index >= c->nslots);
    FUZZ_CHECK(ga_slot_is_start(c, offset, index) ==
               (divided < c->nslots && offset % c->size == 0));
    return 0;
}
