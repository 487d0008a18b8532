#include <malloc.h>

#include "app/app.h"

int main(int argc, char** argv) {
    // Threads pass buffers of megabytes on to one another: an arena each, and large ones kept when freed, cost 100 MB.
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    return holdfast::app::run({argv, argv + argc});
}
