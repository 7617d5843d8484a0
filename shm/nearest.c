/* The distance is the optimal string alignment: of the table of all pairs of beginnings only the
 * last three rows are kept. */
#include "shm/nearest.h"

#include <stdint.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t ga_edit_distance(const char *a, const char *b)
{
    size_t rows[3][GA_NEAREST_MAX + 1];
    size_t na = strlen(a);
    size_t nb = strlen(b);
    if (na > GA_NEAREST_MAX || nb > GA_NEAREST_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(row[j], least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], rows[(i + 1) % 3][j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

void ga_nearest_try(struct ga_nearest *nearest, const char *candidate)
{
    size_t length = strlen(nearest->word);
    size_t distance = ga_edit_distance(nearest->word, candidate);
    if (length >= 2 && strncmp(nearest->word, candidate, length) == 0)
        distance = least(distance, 1);
    if (distance > 1 + length / 4 || distance >= length)
        return;
    if (nearest->best && nearest->distance <= distance)
        return;
    nearest->best = candidate;
    nearest->distance = distance;
}
