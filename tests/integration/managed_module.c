/* A library that a test loads while it runs: it keeps a pointer in its data. */
static void *kept;

void **managed_module_place(void);

void **managed_module_place(void)
{
    return &kept;
}
